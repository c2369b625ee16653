/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The way of checkpoint tools: dump through TCP_REPAIR, close, and restore on a new socket.
 *
 * Steps and their order follow what such tools do for a process image, less what does not belong to
 * the connection (firewall rules that lock it, files): state by TCP_INFO, options one by one, both
 * queues with their sequence numbers, windows, timestamp clock; then a new socket with all of it,
 * which leaves repair by TCP_REPAIR_OFF, that is, with a window probe.
 *
 * System calls of a connection with empty queues: 14 to dump and close (repair, TCP_INFO,
 * SO_SNDBUF, SO_RCVBUF, SIOCINQ, SIOCOUTQ, SIOCOUTQNSD, queue and sequence twice, window,
 * timestamp, close), 12 to restore (socket, repair, bind, queue and sequence twice, connect,
 * options, timestamp, window, repair off).
 */
#include "peer_checkpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* TCP option kinds (RFC 9293, 2018, 7323), as TCP_REPAIR_OPTIONS names them. */
enum { KIND_MSS = 2, KIND_WSCALE = 3, KIND_SACK_PERMITTED = 4, KIND_TIMESTAMPS = 8 };

/* Fails with the call's text as reason, for a caller that has a ret_what. */
#define TRY(call)                          \
	do {                               \
		if ((call) < 0) {          \
			*ret_what = #call; \
			return -errno;     \
		}                          \
	} while (0)

struct checkpoint_image *checkpoint_images(u32 n)
{
	return calloc(n, sizeof(struct checkpoint_image));
}

static int set_int(int fd, int option, int value)
{
	return setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value));
}

static int get(int fd, int level, int option, void *value, socklen_t len)
{
	return getsockopt(fd, level, option, value, &len);
}

static int reserve(struct checkpoint_queue *q)
{
	u8 *bytes;

	if (q->len <= q->capacity)
		return 0;
	bytes = realloc(q->bytes, q->len);
	if (!bytes)
		return -1;
	q->bytes = bytes;
	q->capacity = q->len;
	return 0;
}

static int dump_queue(int fd, int which, struct checkpoint_queue *q, const char **ret_what)
{
	TRY(set_int(fd, TCP_REPAIR_QUEUE, which));
	TRY(get(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &q->seq, sizeof(q->seq)));
	if (q->len == 0)
		return 0;
	TRY(reserve(q));
	if (recv(fd, q->bytes, q->len, MSG_PEEK | MSG_DONTWAIT) != (ssize_t)q->len) {
		*ret_what = "recv(MSG_PEEK) of a queue";
		return -EIO;
	}
	return 0;
}

static int dump(int fd, struct checkpoint_image *im, const char **ret_what)
{
	int err;

	TRY(set_int(fd, TCP_REPAIR, TCP_REPAIR_ON));
	TRY(get(fd, IPPROTO_TCP, TCP_INFO, &im->info, sizeof(im->info)));
	TRY(get(fd, SOL_SOCKET, SO_SNDBUF, &im->sndbuf, sizeof(im->sndbuf)));
	TRY(get(fd, SOL_SOCKET, SO_RCVBUF, &im->rcvbuf, sizeof(im->rcvbuf)));
	TRY(ioctl(fd, SIOCINQ, &im->in.len));
	TRY(ioctl(fd, SIOCOUTQ, &im->out.len));
	TRY(ioctl(fd, SIOCOUTQNSD, &im->unsent));
	err = dump_queue(fd, TCP_RECV_QUEUE, &im->in, ret_what);
	if (err == 0)
		err = dump_queue(fd, TCP_SEND_QUEUE, &im->out, ret_what);
	if (err)
		return err;
	TRY(get(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &im->window, sizeof(im->window)));
	TRY(get(fd, IPPROTO_TCP, TCP_TIMESTAMP, &im->timestamp, sizeof(im->timestamp)));
	return 0;
}

static int put_bytes(int fd, const u8 *bytes, u32 len)
{
	while (len) {
		ssize_t n = send(fd, bytes, min_of(len, 32768u), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n <= 0)
			return -1;
		bytes += n;
		len -= (u32)n;
	}
	return 0;
}

static int restore_queues(int fd, const struct checkpoint_image *im, const char **ret_what)
{
	u32 sent = im->out.len - im->unsent;

	if (im->in.len) {
		TRY(set_int(fd, TCP_REPAIR_QUEUE, TCP_RECV_QUEUE));
		TRY(put_bytes(fd, im->in.bytes, im->in.len));
	}
	if (sent) {
		TRY(set_int(fd, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE));
		TRY(put_bytes(fd, im->out.bytes, sent));
	}
	return 0;
}

static int set_options(int fd, const struct tcp_info *info)
{
	struct tcp_repair_opt opt[4];
	u32 n = 0;

	opt[n++] = (struct tcp_repair_opt){KIND_MSS, info->tcpi_snd_mss};
	if (info->tcpi_options & TCPI_OPT_WSCALE)
		opt[n++] = (struct tcp_repair_opt){
			KIND_WSCALE, info->tcpi_snd_wscale | (u32)info->tcpi_rcv_wscale << 16};
	if (info->tcpi_options & TCPI_OPT_SACK)
		opt[n++] = (struct tcp_repair_opt){KIND_SACK_PERMITTED, 0};
	if (info->tcpi_options & TCPI_OPT_TIMESTAMPS)
		opt[n++] = (struct tcp_repair_opt){KIND_TIMESTAMPS, 0};
	return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, opt, n * sizeof(opt[0]));
}

static int restore_seq(int fd, int which, const struct checkpoint_queue *q, u32 len,
                       const char **ret_what)
{
	TRY(set_int(fd, TCP_REPAIR_QUEUE, which));
	TRY(set_int(fd, TCP_QUEUE_SEQ, (int)(q->seq - len)));
	return 0;
}

static int restore(const struct checkpoint_image *im, int *ret_fd, const char **ret_what)
{
	int err, fd = socket(AF_INET, SOCK_STREAM, 0);

	TRY(fd);
	*ret_fd = fd;
	TRY(set_int(fd, TCP_REPAIR, TCP_REPAIR_ON));
	TRY(bind(fd, (const struct sockaddr *)&im->local, sizeof(im->local)));
	err = restore_seq(fd, TCP_RECV_QUEUE, &im->in, im->in.len, ret_what);
	if (err == 0)
		err = restore_seq(fd, TCP_SEND_QUEUE, &im->out, im->out.len, ret_what);
	if (err)
		return err;
	TRY(connect(fd, (const struct sockaddr *)&im->remote, sizeof(im->remote)));
	TRY(set_options(fd, &im->info));
	TRY(set_int(fd, TCP_TIMESTAMP, im->timestamp));
	err = restore_queues(fd, im, ret_what);
	if (err)
		return err;
	TRY(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &im->window, sizeof(im->window)));
	TRY(set_int(fd, TCP_REPAIR, TCP_REPAIR_OFF));
	if (im->unsent)
		TRY(put_bytes(fd, im->out.bytes + im->out.len - im->unsent, im->unsent));
	return 0;
}

/* The addresses are known to such a tool from its socket listing, not asked for each socket. */
static void know_addresses(const struct conn_end *c, struct checkpoint_image *im)
{
	im->local = (struct sockaddr_in){.sin_family = AF_INET,
	                                 .sin_port = htons(c->id),
	                                 .sin_addr.s_addr = htonl(BENCH_LOCAL_IP)};
	im->remote = (struct sockaddr_in){.sin_family = AF_INET,
	                                  .sin_port = htons(BENCH_PORT),
	                                  .sin_addr.s_addr = htonl(BENCH_REMOTE_IP)};
}

int checkpoint_round(struct conn_end *conns, u32 n, struct checkpoint_image *images,
                     u64 *ret_dump_ns, u64 *ret_restore_ns, const char **ret_what)
{
	u64 start, dumped;
	int err = 0;

	for (u32 i = 0; i < n; i++)
		know_addresses(&conns[i], &images[i]);
	start = bench_now_ns();
	for (u32 i = 0; err == 0 && i < n; i++)
		err = dump(conns[i].fd, &images[i], ret_what);
	if (err)
		return err;
	for (u32 i = 0; i < n; i++)
		close(conns[i].fd);
	dumped = bench_now_ns();
	for (u32 i = 0; err == 0 && i < n; i++)
		err = restore(&images[i], &conns[i].fd, ret_what);
	*ret_dump_ns += dumped - start;
	*ret_restore_ns += bench_now_ns() - dumped;
	return err;
}
