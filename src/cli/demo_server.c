/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The server of `chimney demo`: accepts kernel connections, adopts them into libchimney and serves
 * them in one loop, wherever they are. A second thread obeys the director, so that moves happen in
 * the middle of the traffic.
 */
#include "chimney/chimney.h"
#include "cli/demo.h"
#include "cli/pattern.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
	BUF_BYTES = 65536,
	READY_MAX = 256,
	BACKLOG = 4096,
	TRICKLE_MS = 250,
};

struct peer {
	struct chimney_conn *conn;
	u32 stream;
	u8 known; /* the stream's number is known */
	u8 fin_seen, fin_sent, fin_after, trickle, open;
	u8 writing;
	u32 head_have;
	struct demo_message head;
	u32 up_left, down_left;
	u64 up_at, down_at;
};

struct server {
	const struct demo_options *options;
	int control;
	int epoll, listen_fd, timer_fd;
	struct chimney_context *context;
	struct peer *peers;
	_Atomic u32 n;       /* adopted */
	_Atomic bool finish; /* trickles end */
	_Atomic u64 bytes_verified, bytes_wrong, messages, broken;
	char text[200];
	u8 buf[BUF_BYTES];
};

static void peer_broken(struct server *s, struct peer *p, int error)
{
	if (!s->broken)
		snprintf(s->text, sizeof(s->text), "stream %u at the server: %s", p->stream,
		         strerror(error));
	s->broken++;
	if (s->options->log)
		fprintf(stderr, "    stream %u: %s\n", p->stream, strerror(error));
	p->open = 0;
	chimney_conn_watch(p->conn, 0);
}

static void peer_end(struct peer *p)
{
	struct chimney_conn *conn = p->conn;

	p->open = 0;
	p->conn = NULL;
	chimney_conn_close(conn);
}

/* Sends what is owed; afterwards FIN where it is due, and the end when both have been seen. */
static void peer_write(struct server *s, struct peer *p)
{
	while (p->down_left) {
		ssize_t n =
			chimney_conn_send(p->conn, pattern_at(p->stream, PATTERN_DOWN, p->down_at),
		                          min_of(p->down_left, pattern_run()), CHIMNEY_DONTWAIT);

		if (n == -EAGAIN) {
			if (!p->writing)
				chimney_conn_watch(p->conn, CHIMNEY_READABLE | CHIMNEY_WRITABLE);
			p->writing = 1;
			return;
		}
		if (n < 0) {
			peer_broken(s, p, (int)-n);
			return;
		}
		p->down_left -= (u32)n;
		p->down_at += (u64)n;
	}
	if (p->writing) {
		p->writing = 0;
		chimney_conn_watch(p->conn, p->fin_seen ? 0 : CHIMNEY_READABLE);
	}
	if (!p->fin_sent && (p->fin_after || (p->fin_seen && (!p->trickle || s->finish)))) {
		p->fin_sent = 1;
		chimney_conn_shutdown(p->conn);
	}
	if (p->fin_seen && p->fin_sent)
		peer_end(p);
}

static bool peer_head_done(struct server *s, struct peer *p)
{
	if (p->head.magic != DEMO_MAGIC || (p->known && p->head.stream != p->stream)) {
		s->bytes_wrong += sizeof(p->head);
		peer_broken(s, p, EPROTO);
		return false;
	}
	p->known = 1;
	p->stream = p->head.stream;
	p->up_left = p->head.up;
	return true;
}

static void peer_message_done(struct server *s, struct peer *p)
{
	s->messages++;
	p->head_have = 0;
	p->down_left += p->head.down;
	if (p->head.flags & DEMO_MESSAGE_TRICKLE)
		p->trickle = 1;
	if (p->head.flags & DEMO_MESSAGE_FIN_AFTER)
		p->fin_after = 1;
}

/* Takes received bytes: heads and bodies in turn. */
static void peer_take(struct server *s, struct peer *p, const u8 *data, u32 len)
{
	while (len && p->open) {
		u32 n;

		if (p->head_have < sizeof(p->head)) {
			n = min_of((u32)sizeof(p->head) - p->head_have, len);
			memcpy((u8 *)&p->head + p->head_have, data, n);
			p->head_have += n;
			if (p->head_have == sizeof(p->head) && !peer_head_done(s, p))
				return;
		} else {
			n = min_of(p->up_left, len);
			s->bytes_wrong += pattern_wrong(p->stream, PATTERN_UP, p->up_at, data, n);
			s->bytes_verified += n;
			p->up_at += n;
			p->up_left -= n;
		}
		data += n;
		len -= n;
		if (p->head_have == sizeof(p->head) && !p->up_left)
			peer_message_done(s, p);
	}
}

static void peer_read(struct server *s, struct peer *p)
{
	for (int round = 0; round < 4 && p->open; round++) {
		ssize_t n = chimney_conn_recv(p->conn, s->buf, sizeof(s->buf), CHIMNEY_DONTWAIT);

		if (n == -EAGAIN)
			break;
		if (n < 0) {
			peer_broken(s, p, (int)-n);
			return;
		}
		if (!n) {
			p->fin_seen = 1;
			chimney_conn_watch(p->conn, p->writing ? CHIMNEY_WRITABLE : 0);
			break;
		}
		peer_take(s, p, s->buf, (u32)n);
		if ((size_t)n < sizeof(s->buf))
			break;
	}
	if (p->open)
		peer_write(s, p);
}

static void accept_all(struct server *s)
{
	u32 max = s->options->connections + s->options->extra;

	for (int i = 0; i < 256; i++) {
		int fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct peer *p;
		int err;

		if (fd < 0)
			return;
		if (s->n == max) {
			close(fd);
			continue;
		}
		p = &s->peers[s->n];
		p->open = 1;
		err = chimney_conn_adopt(s->context, fd, -1, p, &p->conn);
		if (err) {
			s->broken++;
			snprintf(s->text, sizeof(s->text), "adopt: %s", chimney_error());
			close(fd);
			return;
		}
		chimney_conn_watch(p->conn, CHIMNEY_READABLE);
		s->n++;
	}
}

/* The half-closed streams: a few bytes now and again; the end when the director says so. */
static void trickle(struct server *s)
{
	u64 expirations;

	if (read(s->timer_fd, &expirations, sizeof(expirations)) < 0)
		return;
	for (u32 i = 0; i < s->n; i++) {
		struct peer *p = &s->peers[i];

		if (!p->open || !p->trickle)
			continue;
		if (!s->finish && !p->down_left)
			p->down_left = 64;
		peer_write(s, p);
	}
}

static void serve_lane(struct server *s, unsigned int lane)
{
	struct chimney_ready ready[READY_MAX];
	int n = chimney_lane_ready(s->context, lane, ready, READY_MAX);

	for (int i = 0; i < n; i++) {
		struct peer *p = ready[i].user;

		if (!p->open)
			continue;
		if (ready[i].events & (CHIMNEY_READABLE | CHIMNEY_ERROR) && !p->fin_seen)
			peer_read(s, p);
		else
			peer_write(s, p);
	}
}

static void *serve(void *arg)
{
	struct server *s = arg;
	struct epoll_event events[16];

	pthread_setname_np(pthread_self(), "demo-serve");
	for (;;) {
		int n = epoll_wait(s->epoll, events, ARRAY_SIZE(events), -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.u64 == UINT64_MAX)
				accept_all(s);
			else if (events[i].data.u64 == UINT64_MAX - 1)
				trickle(s);
			else
				serve_lane(s, (unsigned int)events[i].data.u64);
		}
	}
	return NULL;
}

static int compare_u32(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

static void percentiles(u32 *values, size_t n, u32 *p50, u32 *p99)
{
	if (!n)
		return;
	qsort(values, n, sizeof(*values), compare_u32);
	*p50 = values[n / 2];
	*p99 = values[n - 1 - n / 100];
}

static u64 clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}

static void summarise(const struct chimney_result *results, u32 n, struct demo_report *r)
{
	u32 *values = calloc(max_of(n, 1u), sizeof(*values));
	u32 k = 0;

	for (u32 i = 0; i < n; i++) {
		if (results[i].status) {
			if (!r->refused++)
				r->refused_status = results[i].status;
			continue;
		}
		values[k++] = results[i].move_ns;
	}
	percentiles(values, k, &r->move_ns_p50, &r->move_ns_p99);
	k = 0;
	for (u32 i = 0; i < n; i++) {
		if (!results[i].status)
			values[k++] = results[i].stall_ns;
	}
	percentiles(values, k, &r->stall_ns_p50, &r->stall_ns_p99);
	r->stall_ns_max = k ? values[k - 1] : 0;
	free(values);
}

static void move_all(struct server *s, bool offload, u32 from, struct demo_report *r)
{
	u32 n = s->n, k = 0;
	struct chimney_conn **conns = calloc(n + 1, sizeof(*conns));
	struct chimney_result *results = calloc(n + 1, sizeof(*results));
	u64 start;
	ssize_t moved;

	for (u32 i = from; i < n; i++) {
		if (s->peers[i].open)
			conns[k++] = s->peers[i].conn;
	}
	start = clock_ns();
	moved = offload ? chimney_conns_offload(s->context, conns, k, results)
	                : chimney_conns_upload(s->context, conns, k, results);
	r->elapsed_ns = clock_ns() - start;
	if (moved < 0) {
		r->error = (s32)moved;
		snprintf(r->text, sizeof(r->text), "%s", chimney_error());
	} else {
		r->moved = (u32)moved;
		summarise(results, k, r);
		if (r->refused)
			snprintf(r->text, sizeof(r->text), "%s",
			         chimney_status_sentence(r->refused_status));
	}
	free(conns);
	free(results);
}

static void fill_counters(struct server *s, struct demo_report *r)
{
	struct chimney_stats stats = {.size = sizeof(stats)};

	r->connections = s->n;
	r->bytes_verified = s->bytes_verified;
	r->bytes_wrong = s->bytes_wrong;
	r->messages = s->messages;
	r->broken = s->broken;
	r->resets = demo_read_resets();
	if (!chimney_context_stats(s->context, &stats)) {
		r->updates = stats.updates_sent;
		r->paths = stats.paths_now;
		r->neighbors = stats.neighbors_now;
		r->offloaded = stats.offloaded_now;
		r->dropped_by_port = stats.port_dropped;
		r->segments_dropped = stats.segments_dropped;
		r->parked = stats.parked_frames;
		r->engine_retransmits = stats.retransmits;
	}
	snprintf(r->mode, sizeof(r->mode), "%s", chimney_context_mode(s->context));
	if (!r->text[0])
		memcpy(r->text, s->text, sizeof(r->text));
}

/* --log: what the library has to say since the last order. */
static void print_log(struct server *s)
{
	static uint64_t after;
	struct chimney_event events[64];
	int n;

	while ((n = chimney_context_log(s->context, 0, after, events, ARRAY_SIZE(events))) > 0) {
		for (int i = 0; i < n; i++)
			fprintf(stderr, "    %s\n", events[i].text);
		after = events[n - 1].number;
	}
}

static void obey(struct server *s, const struct demo_request *q)
{
	struct demo_report r = {.order = q->order};

	switch (q->order) {
	case DEMO_ADOPTED:
		while (s->n < q->arg && !s->broken)
			usleep(1000);
		break;
	case DEMO_OFFLOAD:
		move_all(s, true, q->arg, &r);
		break;
	case DEMO_UPLOAD:
		move_all(s, false, 0, &r);
		break;
	case DEMO_FINISH:
		s->finish = true;
		break;
	case DEMO_QUIT:
		chimney_context_destroy(s->context);
		_exit(0);
	default:
		break;
	}
	fill_counters(s, &r);
	if (s->options->log)
		print_log(s);
	if (write(s->control, &r, sizeof(r)) != sizeof(r))
		_exit(1);
}

static int open_listener(struct server *s)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(DEMO_PORT)};
	int zero = 0, one = 1;

	s->listen_fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->listen_fd < 0)
		return -errno;
	setsockopt(s->listen_fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(s->listen_fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
	setsockopt(s->listen_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(s->listen_fd, (struct sockaddr *)&any, sizeof(any)) ||
	    listen(s->listen_fd, BACKLOG))
		return -errno;
	return 0;
}

static void watch(struct server *s, int fd, u64 name)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = name};

	epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev);
}

/* Everything that can fail before the first order is answered. */
static int start(struct server *s, struct demo_report *r)
{
	struct chimney_context_options o = CHIMNEY_CONTEXT_OPTIONS_INIT;
	struct itimerspec every = {.it_interval.tv_nsec = TRICKLE_MS * 1000000,
	                           .it_value.tv_nsec = TRICKLE_MS * 1000000};
	pthread_t thread;
	int err;

	o.interface = DEMO_SERVER_IF;
	o.port_mode = s->options->xdp ? CHIMNEY_PORT_XDP : CHIMNEY_PORT_TAP;
	o.max_connections = s->options->connections + s->options->extra;
	err = chimney_context_create(&o, &s->context);
	if (err) {
		snprintf(r->text, sizeof(r->text), "%s", chimney_error());
		return err;
	}
	err = open_listener(s);
	if (err) {
		snprintf(r->text, sizeof(r->text), "listen: %s", strerror(-err));
		return err;
	}
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	timerfd_settime(s->timer_fd, 0, &every, NULL);
	watch(s, s->listen_fd, UINT64_MAX);
	watch(s, s->timer_fd, UINT64_MAX - 1);
	for (unsigned int i = 0; i < chimney_context_lanes(s->context); i++)
		watch(s, chimney_lane_fd(s->context, i), i);
	return -pthread_create(&thread, NULL, serve, s);
}

void demo_server_main(int control, const struct demo_options *options)
{
	struct server *s = calloc(1, sizeof(*s));
	struct demo_request q;

	prctl(PR_SET_NAME, "chimney-server");
	pattern_init();
	s->options = options;
	s->control = control;
	s->peers = calloc(options->connections + options->extra, sizeof(*s->peers));
	if (read(control, &q, sizeof(q)) == sizeof(q)) {
		struct demo_report r = {.order = q.order};

		r.error = start(s, &r);
		if (r.error) {
			if (write(control, &r, sizeof(r)) != sizeof(r))
				_exit(1);
			_exit(1);
		}
		obey(s, &q);
	}
	while (read(control, &q, sizeof(q)) == sizeof(q))
		obey(s, &q);
	chimney_context_destroy(s->context);
	_exit(0);
}
