// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * A kernel's TCP behind a TAP in a network namespace of its own. The TAP has no offloads: frames
 * are MTU-sized with checksums filled in, as they are on our side.
 */
#include "lab_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_tun.h>
#include <linux/tcp.h>

enum { FRAME_MAX = 2048, WORK_BYTES = 1 << 16 };

static int run(struct lab *l, const char *command)
{
	int status = system(command);

	return status ? lab_fail(l, -EIO, "failed (%d): %s", status, command) : 0;
}

static int make_tap(struct lab *l, struct lab_kernel *k)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};

	k->tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (k->tap < 0)
		return lab_fail(l, -errno, "/dev/net/tun: %s", strerror(errno));
	strcpy(ifr.ifr_name, "lab0");
	if (ioctl(k->tap, TUNSETIFF, &ifr) < 0)
		return lab_fail(l, -errno, "no TAP: %s", strerror(errno));
	return 0;
}

static int configure(struct lab *l, u32 end)
{
	const u8 *mac = lab_mac[end].b, *other = lab_mac[!end].b;
	const u8 *ip = lab_addr[end].b + 12, *to = lab_addr[!end].b + 12;
	char text[1024];

	snprintf(text, sizeof(text),
	         "ip link set lo up && ip link set lab0 address %02x:%02x:%02x:%02x:%02x:%02x "
	         "txqueuelen 20000 up && ip address add %u.%u.%u.%u/24 dev lab0 && "
	         "ip neigh add %u.%u.%u.%u lladdr %02x:%02x:%02x:%02x:%02x:%02x dev lab0 nud "
	         "permanent && echo 1 >/proc/sys/net/ipv4/tcp_no_metrics_save",
	         mac[0], mac[1], mac[2], mac[3], mac[4], mac[5], ip[0], ip[1], ip[2], ip[3], to[0],
	         to[1], to[2], to[3], other[0], other[1], other[2], other[3], other[4], other[5]);
	return run(l, text);
}

int lab_kernel_open(struct lab *l, u32 end)
{
	struct lab_kernel *k = &l->kernel[end];
	int home, err;

	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0)
		return lab_fail(l, -errno, "/proc/self/ns/net: %s", strerror(errno));
	if (unshare(CLONE_NEWNET) < 0) {
		err = -errno;
		close(home);
		return lab_fail(l, err, "no network namespace: %s (run it as root)",
		                strerror(-err));
	}
	k->ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	err = make_tap(l, k);
	if (!err)
		err = configure(l, end);
	if (setns(home, CLONE_NEWNET) < 0)
		abort(); /* the caller's namespace is gone for this thread */
	close(home);
	return err;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void lab_kernel_close(struct lab *l, u32 end)
{
	struct lab_kernel *k = &l->kernel[end];

	for (u32 i = 0; i < LAB_CONNS_MAX; i++)
		close_fd(&k->fd[i]);
	close_fd(&k->listener);
	close_fd(&k->tap);
	close_fd(&k->ns);
}

/* -- sockets ----------------------------------------------------------------------------------- */

static struct sockaddr_in address(u32 end, u16 port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

	memcpy(&a.sin_addr, lab_addr[end].b + 12, 4);
	return a;
}

static int new_socket(struct lab *l, const struct sockaddr_in *at)
{
	const char *cc = l->config->cc == TCP_CC_CUBIC ? "cubic" : "reno";
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, cc, (socklen_t)strlen(cc)) < 0 ||
	    bind(fd, (const struct sockaddr *)at, sizeof(*at)) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static int listen_at(struct lab *l, struct lab_kernel *k)
{
	struct sockaddr_in at = address(LAB_PEER, LAB_PORT);

	k->listener = new_socket(l, &at);
	if (k->listener < 0 || listen(k->listener, LAB_CONNS_MAX) < 0)
		return lab_fail(l, -errno, "cannot listen: %s", strerror(errno));
	return 0;
}

static int connect_all(struct lab *l, struct lab_kernel *k)
{
	struct sockaddr_in to = address(LAB_PEER, LAB_PORT);

	for (u32 i = 0; i < l->config->conns; i++) {
		struct sockaddr_in from = address(LAB_SUBJECT, (u16)(LAB_FIRST_PORT + i));

		k->fd[i] = new_socket(l, &from);
		if (k->fd[i] < 0)
			return lab_fail(l, k->fd[i], "no socket: %s", strerror(-k->fd[i]));
		if (connect(k->fd[i], (struct sockaddr *)&to, sizeof(to)) < 0 &&
		    errno != EINPROGRESS)
			return lab_fail(l, -errno, "cannot connect: %s", strerror(errno));
	}
	return 0;
}

int lab_kernel_start(struct lab *l, u32 end)
{
	struct lab_kernel *k = &l->kernel[end];
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), err;

	if (home < 0 || setns(k->ns, CLONE_NEWNET) < 0)
		return lab_fail(l, -errno, "setns: %s", strerror(errno));
	err = end == LAB_PEER ? listen_at(l, k) : connect_all(l, k);
	if (setns(home, CLONE_NEWNET) < 0)
		abort();
	close(home);
	return err;
}

static void accept_all(struct lab *l, struct lab_kernel *k)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	int fd;

	while (k->n_accepted < l->config->conns &&
	       (fd = accept4(k->listener, (struct sockaddr *)&from, &len,
	                     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		k->fd[(u32)ntohs(from.sin_port) - LAB_FIRST_PORT] = fd;
		k->n_accepted++;
		len = sizeof(from);
	}
}

static int send_some(struct lab *l, u32 i, int fd)
{
	struct lab_stream *s = &l->stream[i];

	for (;;) {
		u32 len = (u32)min_of(lab_to_send(l, i), (u64)WORK_BYTES);
		const u8 *bytes = lab_bytes(s->sent, &len);
		ssize_t n;

		if (!len)
			break;
		n = send(fd, bytes, len, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == ENOTCONN || errno == EINPROGRESS
			               ? 0
			               : lab_fail(l, -errno, "send: %s", strerror(errno));
		s->sent += (u64)n;
	}
	if (l->config->bytes && s->sent == l->config->bytes && !s->fin_sent) {
		shutdown(fd, SHUT_WR);
		s->fin_sent = true;
	}
	return 0;
}

static int receive_some(struct lab *l, u32 i, int fd)
{
	static u8 bytes[WORK_BYTES];
	ssize_t n;

	while (!l->stream[i].fin_got && (n = recv(fd, bytes, sizeof(bytes), 0)) >= 0) {
		lab_received(l, i, bytes, n ? n : -1);
		if (!n) /* closes too */
			shutdown(fd, SHUT_WR);
	}
	if (!l->stream[i].fin_got && errno != EAGAIN && errno != ENOTCONN)
		return lab_fail(l, -errno, "receive: %s", strerror(errno));
	return 0;
}

int lab_kernel_work(struct lab *l, u32 end)
{
	struct lab_kernel *k = &l->kernel[end];
	bool sends = l->config->subject_sends == (end == LAB_SUBJECT);

	if (end == LAB_PEER)
		accept_all(l, k);
	for (u32 i = 0; i < l->config->conns; i++) {
		int err;

		if (k->fd[i] < 0)
			continue;
		err = sends ? send_some(l, i, k->fd[i]) : receive_some(l, i, k->fd[i]);
		if (err)
			return err;
	}
	return 0;
}

/* -- frames ------------------------------------------------------------------------------------ */

/* A frame that was read becomes one to be sent: its first bytes are the header. */
static bool onto_wire(struct lab *l, u32 end, u32 buf, u32 len)
{
	struct tx_frame f = {.payload_buf = buf, .conn = NIL};

	f.header_len = (u8)min_of(len, 64u);
	memcpy(f.header, buf_bytes(&l->pool[end], buf), f.header_len);
	f.payload_off = f.header_len;
	f.payload_len = len - f.header_len;
	return l->port[end]->ops->transmit(l->port[end], &f, 1) == 1;
}

u32 lab_kernel_pump(struct lab *l, u32 end)
{
	struct buf_pool *pool = &l->pool[end];
	u32 frames = 0;

	for (;; frames++) {
		u32 buf = buf_alloc(pool, BUF_SMALL);
		ssize_t n = read(l->kernel[end].tap, buf_bytes(pool, buf), FRAME_MAX);

		if (n > 0) {
			*buf_at(pool, buf) = (struct buf){NIL, 0, (u32)n, 1};
			if (end == LAB_SUBJECT)
				lab_watch_subject(l, buf_bytes(pool, buf), (u32)n);
			(void)onto_wire(l, end, buf, (u32)n);
		}
		buf_put(pool, buf);
		if (n <= 0)
			return frames;
	}
}

void lab_kernel_deliver(struct lab *l, u32 end, const u8 *frame, u32 len)
{
	/* A TAP that takes no frame has lost it, as a card would. */
	if (write(l->kernel[end].tap, frame, len) < 0)
		l->result.lost++;
}
