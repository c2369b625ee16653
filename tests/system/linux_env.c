// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux_env.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <linux/virtio_net.h>

#include "linux_peer.h"

enum {
	PARKED_MAX = 100000,
	POOL_SMALL = 60000,
	POOL_LARGE = 600,
};

void env_need_root(void)
{
	if (geteuid() != 0) {
		printf("needs root: network namespaces, BPF and TCP_REPAIR\n");
		exit(77);
	}
	if (access("/sys/kernel/btf/vmlinux", R_OK)) {
		printf("needs a kernel with BTF\n");
		exit(77);
	}
}

void env_run(const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (system(line) != 0)
		fail_msg("failed: %s", line);
}

void env_run_peer(struct env *e, const char *format, ...)
{
	char line[512], full[640];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	snprintf(full, sizeof(full), "nsenter -t %d -n %s", (int)e->peer, line);
	if (system(full) != 0)
		fail_msg("failed: %s", full);
}

void env_sleep_ms(u32 ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&t, NULL);
}

static void namespace_new(void)
{
	if (unshare(CLONE_NEWNET)) {
		printf("needs network namespaces: unshare failed\n");
		exit(77);
	}
	env_run("ip link set lo up");
	/* No tail loss probes: frames are parked for longer than they wait. */
	env_run("sysctl -qw net.ipv4.tcp_early_retrans=0");
}

static int namespace_open(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* The commands that give one end its addresses. A route's RTO stays with sockets that move. */
static const char *addresses(const struct env *e, char *to, size_t size, const char *dev, int host)
{
	char rto[256] = "";

	if (!e->retransmits)
		snprintf(rto, sizeof(rto),
		         " && ip route change 10.9.0.0/24 dev %s proto kernel scope link src "
		         "10.9.0.%d rto_min 20s && ip route replace fd09::/64 dev %s proto kernel "
		         "metric 256 rto_min 20s",
		         dev, host, dev);
	snprintf(to, size,
	         "ip link set %s up && ip addr add 10.9.0.%d/24 dev %s && "
	         "ip addr add fd09::%d/64 dev %s nodad%s",
	         dev, host, dev, host, dev, rto);
	return to;
}

static pid_t peer_start(struct env *e)
{
	char commands[512];
	int ready[2], go[2];
	char c = 0;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC) | pipe2(go, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		namespace_new();
		if (write(ready[1], &c, 1) != 1 || read(go[0], &c, 1) != 1)
			exit(1);
		peer_run(e->shared);
		exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	env_run("ip link add h0 type veth peer name p0 netns %d", (int)pid);
	env_run("%s", addresses(e, commands, sizeof(commands), "h0", 1));
	env_run("nsenter -t %d -n sh -c '%s'", (int)pid,
	        addresses(e, commands, sizeof(commands), "p0", 2));
	assert_int_equal(write(go[1], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	close(go[0]);
	close(go[1]);
	return pid;
}

void env_start(struct env *e, int how)
{
	struct rlimit limit;

	memset(e, 0, sizeof(*e));
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	e->v6 = how & ~(ENV_RETRANSMITS | ENV_UNBOUND);
	e->unbound = (how & ENV_UNBOUND) != 0;
	e->retransmits = (how & ENV_RETRANSMITS) != 0;
	e->shared = mmap(NULL, sizeof(*e->shared), PROT_READ | PROT_WRITE,
	                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(e->shared != MAP_FAILED);
	namespace_new();
	e->peer = peer_start(e);
	e->host_ns = namespace_open(getpid());
	e->peer_ns = namespace_open(e->peer);
	e->ifindex = if_nametoindex("h0");
	assert_true(e->ifindex > 0);
}

void env_backend(struct env *e, const struct linux_backend_config *config)
{
	struct buf_pool_config pool = {.small = POOL_SMALL, .large = POOL_LARGE};
	struct linux_backend_config c = {.capacity = ENV_CONNS_MAX, .resolve_wait_ms = 1000};
	const char *step = "";
	int err;

	if (config)
		c = *config;
	e->pool_mem = mmap(NULL, buf_pool_bytes(&pool), PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(e->pool_mem != MAP_FAILED);
	buf_pool_init(&e->pool, e->pool_mem, &pool);
	e->parked = calloc(PARKED_MAX, sizeof(*e->parked));
	assert_int_equal(hosttap_open(&e->lane, 50000), 0);
	err = linux_backend_create(&c, &e->backend, &step);
	if (err)
		fail_msg("backend: %s: %s", step, strerror(-err));
	assert_int_equal(linux_backend_add_port(e->backend, e->ifindex, 0, e->lane.ifindex), 0);
	e->ops = *linux_backend_interface(e->backend).ops;
}

void env_stop(struct env *e)
{
	e->shared->stop = 1;
	waitpid(e->peer, NULL, 0);
	if (e->backend) {
		linux_backend_destroy(e->backend);
		hosttap_close(&e->lane);
	}
	free(e->parked);
	close(e->host_ns);
	close(e->peer_ns);
	munmap(e->shared, sizeof(*e->shared));
}

static int connect_one(struct env *e, u32 i)
{
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(ENV_PORT)};
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(ENV_PORT)};
	struct sockaddr_in6 me6 = {.sin6_family = AF_INET6};
	struct sockaddr_in me4 = {.sin_family = AF_INET};
	int fd = socket(e->v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
	inet_pton(AF_INET, "10.9.0.2", &a4.sin_addr);
	inet_pton(AF_INET6, e->v6 == ENV_MAPPED ? "::ffff:10.9.0.2" : "fd09::2", &a6.sin6_addr);
	me4.sin_port = me6.sin6_port = htons((u16)(ENV_FIRST_PORT + i));
	if (e->unbound) {
		env_run("sysctl -qw net.ipv4.ip_local_port_range='%d %d'", ENV_FIRST_PORT,
		        ENV_FIRST_PORT);
		assert_int_equal(connect(fd, (struct sockaddr *)&a4, sizeof(a4)), 0);
	} else if (e->v6) {
		assert_int_equal(bind(fd, (struct sockaddr *)&me6, sizeof(me6)), 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&a6, sizeof(a6)), 0);
	} else {
		assert_int_equal(bind(fd, (struct sockaddr *)&me4, sizeof(me4)), 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&a4, sizeof(a4)), 0);
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

void env_connect(struct env *e, struct env_conn *conns, u32 n)
{
	for (u32 i = 0; i < n; i++)
		conns[i] = (struct env_conn){.fd = connect_one(e, i), .id = i};
	while (e->shared->accepted < n)
		env_sleep_ms(1);
	env_mark(e); /* a SYN may have been sent twice on a busy machine */
}

void env_close(struct env_conn *conns, u32 n)
{
	for (u32 i = 0; i < n; i++)
		close(conns[i].fd);
}

int env_read(struct env_conn *c)
{
	u8 buf[16384];
	int any = 0;
	ssize_t n;

	while ((n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		any = 1;
		for (ssize_t i = 0; i < n; i++)
			if (buf[i] != env_pattern(c->id, c->received + (u64)i))
				c->mismatches++;
		c->received += (u64)n;
	}
	return any;
}

void env_send(struct env_conn *c, u32 n)
{
	u8 *buf = malloc(n);
	u32 done = 0;

	for (u32 i = 0; i < n; i++)
		buf[i] = env_pattern(c->id, c->sent + i);
	while (done < n) {
		struct pollfd p = {.fd = c->fd, .events = POLLOUT};
		ssize_t taken = send(c->fd, buf + done, n - done, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (taken > 0)
			done += (u32)taken;
		else if (errno != EAGAIN || poll(&p, 1, -1) != 1)
			fail_msg("send: %s", strerror(errno));
	}
	c->sent += n;
	free(buf);
}

void env_pause(struct env *e)
{
	u32 turns = e->shared->turns;

	e->shared->pause = 1;
	/* The turn that is under way may have looked before; the next one has not. */
	while (e->shared->turns - turns < 2)
		env_sleep_ms(1);
}

void env_drain(struct env *e, struct env_conn *c)
{
	while (c->received < e->shared->sent[c->id]) {
		if (!env_read(c))
			env_sleep_ms(1);
		assert_int_equal(e->shared->errors, 0);
	}
	assert_int_equal(c->mismatches, 0);
}

void env_drained_peer(struct env *e, const struct env_conn *c)
{
	while (e->shared->received[c->id] < c->sent) {
		env_sleep_ms(1);
		assert_int_equal(e->shared->errors, 0);
	}
	assert_int_equal(e->shared->mismatches, 0);
}

/* -- the lane -----------------------------------------------------------------------------------
 */

static int park_one(struct env *e)
{
	struct virtio_net_hdr h;
	u32 small = buf_alloc(&e->pool, BUF_SMALL), large = buf_alloc(&e->pool, BUF_LARGE);
	struct iovec iov[3];
	struct rx_frame *f = &e->parked[e->n_parked];
	ssize_t n;

	assert_true(small != NIL && large != NIL && e->n_parked < PARKED_MAX);
	iov[0] = (struct iovec){&h, sizeof(h)};
	iov[1] = (struct iovec){buf_bytes(&e->pool, small), BUF_SMALL_BYTES};
	iov[2] = (struct iovec){buf_bytes(&e->pool, large), BUF_LARGE_BYTES};
	n = readv(e->lane.fd, iov, 3);
	if (n <= (ssize_t)sizeof(h)) {
		buf_put(&e->pool, small);
		buf_put(&e->pool, large);
		return 0;
	}
	n -= (ssize_t)sizeof(h);
	*f = (struct rx_frame){.buf = small, .len = (u32)n, .gso_bytes = h.gso_size};
	f->csum = h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM   ? FRAME_CSUM_PARTIAL
	          : h.flags & VIRTIO_NET_HDR_F_DATA_VALID ? FRAME_CSUM_VALID
	                                                  : FRAME_CSUM_UNKNOWN;
	buf_at(&e->pool, small)->len = min_of((u32)n, (u32)BUF_SMALL_BYTES);
	buf_at(&e->pool, large)->len = (u32)n - buf_at(&e->pool, small)->len;
	if (buf_at(&e->pool, large)->len)
		buf_at(&e->pool, small)->next = large;
	else
		buf_put(&e->pool, large);
	e->n_parked++;
	return 1;
}

u32 env_park(struct env *e)
{
	u32 n = 0;

	while (park_one(e))
		n++;
	return n;
}

void env_inject(struct env *e)
{
	u32 done = 0;

	while (done < e->n_parked)
		done += e->ops.inject(e->backend, e->parked + done, e->n_parked - done, &e->pool);
	for (u32 i = 0; i < e->n_parked; i++)
		buf_put_chain(&e->pool, e->parked[i].buf);
	e->n_parked = 0;
}

/* /sys shows the namespace in which it was mounted, so /proc it is. */
u64 env_tap_drops(struct env *e)
{
	char line[512];
	u64 drops = UINT64_MAX;
	FILE *f = fopen("/proc/net/dev", "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		char *name = strtok(line, " :\n"), *field = NULL;

		if (!name || strcmp(name, e->lane.name) != 0)
			continue;
		/* rx: 8 fields; tx: bytes, packets, errs, drop */
		for (int i = 0; i < 12; i++)
			field = strtok(NULL, " \n");
		drops = field ? strtoull(field, NULL, 10) : UINT64_MAX;
	}
	fclose(f);
	return drops;
}

/* -- counters -----------------------------------------------------------------------------------
 */

static u64 counter_find(FILE *f, const char *name)
{
	char names[8192], values[8192];

	while (fgets(names, sizeof(names), f) && fgets(values, sizeof(values), f)) {
		char *n_save, *v_save, *n = strtok_r(names, " \n", &n_save);
		char *v = strtok_r(values, " \n", &v_save);

		for (; n && v;
		     n = strtok_r(NULL, " \n", &n_save), v = strtok_r(NULL, " \n", &v_save))
			if (!strcmp(n, name))
				return strtoull(v, NULL, 10);
	}
	fail_msg("no counter %s", name);
	return 0;
}

u64 env_counter(struct env *e, int peer, const char *file, const char *name)
{
	char path[64];
	FILE *f;
	u64 value;

	snprintf(path, sizeof(path), "/proc/%d/net/%s", peer ? (int)e->peer : (int)getpid(), file);
	f = fopen(path, "r");
	assert_non_null(f);
	value = counter_find(f, name);
	fclose(f);
	return value;
}

static int all_arrived(struct env *e, int from_peer)
{
	u64 sent = env_counter(e, from_peer, "snmp", "OutRequests");

	return env_counter(e, !from_peer, "snmp", "InReceives") == sent;
}

void env_quiet(struct env *e)
{
	u32 clean = 0;

	/* Twice: what arrived from the peer may have been answered since. */
	while (clean < 2) {
		if (all_arrived(e, 0) && all_arrived(e, 1)) {
			clean++;
			continue;
		}
		clean = 0;
		env_sleep_ms(1);
	}
}
