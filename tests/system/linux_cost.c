// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * What a round trip out of the kernel and back costs per connection, against the way in which
 * checkpoint tools do it (repair mode, one property a system call, a new socket, a window probe).
 * No test: it prints figures. Usage: linux_cost [connections], default 1000.
 */
#include "linux_env.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/sockios.h>
#include <linux/tcp.h>

enum { ROUNDS = 5 };

static u64 now_ns(void)
{
	struct timespec t;

	/* Processor time: whoever else uses the machine does not count. */
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}

static double us(u64 ns, u32 n)
{
	return (double)ns / 1000.0 / n;
}

static void lap(const char *what, u64 *from, u32 n, u64 *total, bool print)
{
	u64 t = now_ns();

	if (print)
		printf("  %-8s %6.2f us\n", what, us(t - *from, n));
	*total += t - *from;
	*from = now_ns();
}

static u64 ours(struct env *e, struct env_moves *m, bool print)
{
	u64 total = 0, t = now_ns();

	e->ops.inspect(e->backend, m->move, m->n);
	lap("inspect", &t, m->n, &total, print);
	e->ops.hold(e->backend, m->move, m->n);
	lap("hold", &t, m->n, &total, print);
	env_fence(e);
	lap("fence", &t, m->n, &total, print);
	e->ops.freeze(e->backend, m->move, m->n, &e->pool);
	lap("freeze", &t, m->n, &total, print);
	e->ops.detach(e->backend, m->move, m->n);
	lap("detach", &t, m->n, &total, print);
	e->ops.own(e->backend, m->move, m->n);
	lap("own", &t, m->n, &total, print);
	e->ops.hold(e->backend, m->move, m->n);
	lap("hold", &t, m->n, &total, print);
	env_fence(e);
	lap("fence", &t, m->n, &total, print);
	e->ops.import(e->backend, m->move, m->n, &e->pool);
	lap("import", &t, m->n, &total, print);
	e->ops.release(e->backend, m->move, m->n);
	lap("release", &t, m->n, &total, print);
	env_fence(e);
	lap("fence", &t, m->n, &total, print);
	env_all_ok(m, 0, m->n, "round trip");
	return total;
}

static u32 get_int(int fd, int level, int name)
{
	u32 v = 0;
	socklen_t len = sizeof(v);

	if (getsockopt(fd, level, name, &v, &len))
		fail_msg("getsockopt %d: %s", name, strerror(errno));
	return v;
}

static void set_int(int fd, int level, int name, int v)
{
	if (setsockopt(fd, level, name, &v, sizeof(v)))
		fail_msg("setsockopt %d: %s", name, strerror(errno));
}

struct checkpoint {
	u32 seq[2], timestamp, in, out;
	struct tcp_info info;
	struct tcp_repair_window window;
	struct sockaddr_in here, there;
};

static void checkpoint_dump(int fd, struct checkpoint *c)
{
	socklen_t len = sizeof(c->info);
	int bytes;

	set_int(fd, IPPROTO_TCP, TCP_REPAIR, 1);
	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &c->info, &len);
	len = sizeof(c->here);
	getsockname(fd, (struct sockaddr *)&c->here, &len);
	len = sizeof(c->there);
	getpeername(fd, (struct sockaddr *)&c->there, &len);
	ioctl(fd, SIOCOUTQ, &bytes);
	c->out = (u32)bytes;
	ioctl(fd, SIOCINQ, &bytes);
	c->in = (u32)bytes;
	for (int q = 0; q < 2; q++) {
		set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, q + 1);
		c->seq[q] = get_int(fd, IPPROTO_TCP, TCP_QUEUE_SEQ);
	}
	c->timestamp = get_int(fd, IPPROTO_TCP, TCP_TIMESTAMP);
	get_int(fd, IPPROTO_TCP, TCP_MAXSEG);
	len = sizeof(c->window);
	getsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &c->window, &len);
	close(fd);
}

static int checkpoint_restore(const struct checkpoint *c)
{
	struct tcp_repair_opt opts[4] = {
		{2, c->info.tcpi_snd_mss + 12},
		{3, c->info.tcpi_snd_wscale | (u32)c->info.tcpi_rcv_wscale << 16},
		{4, 0},
		{8, 0}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	set_int(fd, IPPROTO_TCP, TCP_REPAIR, 1);
	for (int q = 0; q < 2; q++) {
		set_int(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, q + 1);
		set_int(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, (int)c->seq[q == 0 ? 0 : 1]);
	}
	assert_int_equal(bind(fd, (const struct sockaddr *)&c->here, sizeof(c->here)), 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&c->there, sizeof(c->there)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, opts, sizeof(opts)), 0);
	set_int(fd, IPPROTO_TCP, TCP_TIMESTAMP, (int)c->timestamp);
	assert_int_equal(
		setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &c->window, sizeof(c->window)), 0);
	set_int(fd, IPPROTO_TCP, TCP_REPAIR, 0);
	return fd;
}

static u64 checkpoint(struct env_conn *conns, u32 n)
{
	struct checkpoint *c = calloc(n, sizeof(*c));
	u64 t = now_ns();

	for (u32 i = 0; i < n; i++)
		checkpoint_dump(conns[i].fd, &c[i]);
	for (u32 i = 0; i < n; i++)
		conns[i].fd = checkpoint_restore(&c[i]);
	t = now_ns() - t;
	free(c);
	return t;
}

static void measure(u32 n, bool no_rtt)
{
	struct linux_backend_config config = {.resolve_wait_ms = 1000, .no_rtt = no_rtt};
	struct env_conn *conns = calloc(n, sizeof(*conns));
	u64 best = UINT64_MAX, best_checkpoint = UINT64_MAX;
	struct env_moves m;
	struct env e;

	env_start(&e, 0);
	env_backend(&e, &config);
	env_connect(&e, conns, n);
	env_moves_init(&m, conns, n);
	for (u32 i = 0; i < ROUNDS; i++)
		best = min_of(best, ours(&e, &m, i == ROUNDS - 1));
	env_moves_free(&e, &m);
	for (u32 i = 0; i < ROUNDS; i++)
		best_checkpoint = min_of(best_checkpoint, checkpoint(conns, n));
	printf("%u connections%s: %.2f us each, the checkpoint way %.2f us, ratio %.2f\n", n,
	       no_rtt ? ", srtt not restored" : "", us(best, n), us(best_checkpoint, n),
	       (double)best / (double)best_checkpoint);
	env_close(conns, n);
	env_stop(&e);
	free(conns);
}

int main(int argc, char **argv)
{
	u32 n = argc > 1 ? (u32)strtoul(argv[1], NULL, 10) : 1000;

	env_need_root();
	if (n < 1 || n > ENV_CONNS_MAX) {
		fprintf(stderr, "between 1 and %d connections\n", ENV_CONNS_MAX);
		return 2;
	}
	setvbuf(stdout, NULL, _IONBF, 0);
	measure(n, true);
	measure(n, false);
	return 0;
}
