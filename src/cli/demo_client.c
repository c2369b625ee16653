/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The client of `chimney demo`: plain kernel sockets, one epoll loop, paced messages. */
#include "cli/demo.h"
#include "cli/pattern.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	BUF_BYTES = 65536,
	EVENTS_MAX = 256,
	FINISH_WINDOW = 16,   /* FINs in flight */
	CONNECT_WINDOW = 256, /* connects in flight, below the server's backlog */
};

struct stream {
	int fd;
	u32 id;
	u8 kind;
	u8 connected;
	u8 fin_sent;
	u8 fin_seen;
	u8 busy; /* a message is under way */
	u8 want_out;
	u32 head_left;          /* bytes of the message's head not sent yet */
	u32 up_left, down_left; /* bytes of the message not sent, not received */
	u64 up_at, down_at;     /* offsets of the stream's bodies */
	struct demo_message head;
	u64 messages;
};

struct client {
	const struct demo_options *options;
	int control;
	int epoll;
	struct stream *streams;
	u32 n, established, connecting;
	u32 connect_goal;
	u32 cursor; /* next stream to speak */
	bool going, draining, finishing;
	u64 next_ns;
	u64 bytes_verified, bytes_wrong, messages, broken;
	u64 rng;
	char text[200];
	struct demo_request pending; /* order that is answered later */
	u8 buf[BUF_BYTES];
};

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}

static u32 rng_below(struct client *c, u32 n)
{
	c->rng = c->rng * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)((c->rng >> 33) % n);
}

enum demo_kind demo_kind_of(u32 stream)
{
	static const u8 kinds[16] = {
		DEMO_SMALL, DEMO_SMALL, DEMO_IDLE,  DEMO_SMALL,       DEMO_LARGE, DEMO_SMALL,
		DEMO_SMALL, DEMO_UP,    DEMO_SMALL, DEMO_DOWN,        DEMO_SMALL, DEMO_HALF_CLIENT,
		DEMO_SMALL, DEMO_IDLE,  DEMO_SMALL, DEMO_HALF_SERVER,
	};

	return kinds[stream % 16];
}

static void stream_broken(struct client *c, struct stream *s, int error)
{
	if (!c->broken++)
		snprintf(c->text, sizeof(c->text), "stream %u (kind %u): %s", s->id, s->kind,
		         strerror(error));
	close(s->fd);
	s->fd = -1;
	s->busy = 0;
}

static void stream_events(struct client *c, struct stream *s, bool out)
{
	struct epoll_event ev = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = s};

	if (s->want_out == out)
		return;
	s->want_out = out;
	epoll_ctl(c->epoll, EPOLL_CTL_MOD, s->fd, &ev);
}

/* Sends what is left of the current message's head and body. */
static void stream_send(struct client *c, struct stream *s)
{
	while (s->head_left || s->up_left) {
		const u8 *from;
		u32 want;
		ssize_t n;

		if (s->head_left) {
			from = (const u8 *)&s->head + sizeof(s->head) - s->head_left;
			want = s->head_left;
		} else {
			from = pattern_at(s->id, PATTERN_UP, s->up_at);
			want = min_of(s->up_left, pattern_run());
		}
		n = send(s->fd, from, want,
		         MSG_NOSIGNAL | (s->head_left && s->up_left ? MSG_MORE : 0));
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			stream_events(c, s, true);
			return;
		}
		if (n < 0) {
			stream_broken(c, s, errno);
			return;
		}
		if (s->head_left) {
			s->head_left -= (u32)n;
		} else {
			s->up_left -= (u32)n;
			s->up_at += (u64)n;
		}
	}
	stream_events(c, s, false);
	if (s->kind == DEMO_HALF_CLIENT && !s->fin_sent) {
		shutdown(s->fd, SHUT_WR);
		s->fin_sent = 1;
	}
}

static u32 size_of_kind(struct client *c, const struct stream *s, bool up)
{
	switch (s->kind) {
	case DEMO_LARGE:
		return 16384;
	case DEMO_UP:
		return up ? 32768 : 64;
	case DEMO_DOWN:
		return up ? 64 : 32768;
	default:
		return 64 + rng_below(c, 961);
	}
}

/* Starts the next message of a stream. */
static void stream_speak(struct client *c, struct stream *s)
{
	u32 up = size_of_kind(c, s, true);
	u32 down = size_of_kind(c, s, false);
	u32 flags = 0;

	if (s->kind == DEMO_HALF_CLIENT) {
		flags = DEMO_MESSAGE_TRICKLE;
		down = 512;
	} else if (s->kind == DEMO_HALF_SERVER) {
		/* The first answer is followed by FIN; afterwards bodies go up only. */
		flags = s->messages ? 0 : DEMO_MESSAGE_FIN_AFTER;
		down = s->messages ? 0 : down;
	}
	s->head = (struct demo_message){DEMO_MAGIC, s->id, up, down, flags};
	s->head_left = sizeof(s->head);
	s->up_left = up;
	s->down_left = flags & DEMO_MESSAGE_TRICKLE ? 0 : down;
	s->busy = 1;
	s->messages++;
	c->messages++;
	stream_send(c, s);
	if (!s->head_left && !s->up_left && !s->down_left)
		s->busy = 0;
}

static bool stream_may_speak(const struct client *c, const struct stream *s)
{
	if (s->fd < 0 || !s->connected || s->busy || s->fin_sent)
		return false;
	return s->kind != DEMO_IDLE || !s->messages || c->draining;
}

static void stream_receive(struct client *c, struct stream *s)
{
	for (int round = 0; round < 4 && s->fd >= 0; round++) {
		ssize_t n = recv(s->fd, c->buf, sizeof(c->buf), 0);

		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				stream_broken(c, s, errno);
			return;
		}
		if (!n) {
			struct epoll_event ev = {.events = 0, .data.ptr = s};

			s->fin_seen = 1;
			if (s->down_left)
				stream_broken(c, s, EPROTO);
			else
				epoll_ctl(c->epoll, EPOLL_CTL_MOD, s->fd, &ev);
			s->want_out = 0;
			return;
		}
		c->bytes_wrong += pattern_wrong(s->id, PATTERN_DOWN, s->down_at, c->buf, (u32)n);
		c->bytes_verified += (u64)n;
		s->down_at += (u64)n;
		if (s->kind != DEMO_HALF_CLIENT) {
			if ((u32)n > s->down_left) {
				c->bytes_wrong += (u32)n - s->down_left;
				s->down_left = 0;
			} else {
				s->down_left -= (u32)n;
			}
		}
		if (s->busy && !s->head_left && !s->up_left && !s->down_left)
			s->busy = 0;
		if ((size_t)n < sizeof(c->buf))
			return;
	}
}

static void stream_connect(struct client *c, u32 id)
{
	struct stream *s = &c->streams[id];
	bool v6 = id % 4 == 3;
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6};
	struct sockaddr_in a4 = {.sin_family = AF_INET};
	struct epoll_event ev = {.events = EPOLLOUT, .data.ptr = s};
	int one = 1, r;

	*s = (struct stream){.id = id, .kind = (u8)demo_kind_of(id), .want_out = 1};
	s->fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0) {
		c->broken++;
		snprintf(c->text, sizeof(c->text), "socket %u: %s", id, strerror(errno));
		return;
	}
	setsockopt(s->fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
	setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (v6) {
		inet_pton(AF_INET6, DEMO_CLIENT_IP6, &a6.sin6_addr);
		r = bind(s->fd, (struct sockaddr *)&a6, sizeof(a6));
		inet_pton(AF_INET6, DEMO_SERVER_IP6, &a6.sin6_addr);
		a6.sin6_port = htons(DEMO_PORT);
		r = r ?: connect(s->fd, (struct sockaddr *)&a6, sizeof(a6));
	} else {
		char text[32];

		snprintf(text, sizeof(text), DEMO_CLIENT_NET4 "%u", 1 + id % DEMO_CLIENT_ADDRS);
		inet_pton(AF_INET, text, &a4.sin_addr);
		r = bind(s->fd, (struct sockaddr *)&a4, sizeof(a4));
		inet_pton(AF_INET, DEMO_SERVER_IP4, &a4.sin_addr);
		a4.sin_port = htons(DEMO_PORT);
		r = r ?: connect(s->fd, (struct sockaddr *)&a4, sizeof(a4));
	}
	if (r && errno != EINPROGRESS) {
		stream_broken(c, s, errno);
		return;
	}
	c->connecting++;
	epoll_ctl(c->epoll, EPOLL_CTL_ADD, s->fd, &ev);
}

static void stream_connected(struct client *c, struct stream *s)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	c->connecting--;
	if (error) {
		stream_broken(c, s, error);
		return;
	}
	s->connected = 1;
	c->established++;
	s->want_out = 1;
	stream_events(c, s, false);
}

static void report_sockets(struct client *c, struct demo_report *r)
{
	r->cwnd_min_segments = UINT32_MAX;
	for (u32 i = 0; i < c->n; i++) {
		struct tcp_info info;
		socklen_t len = sizeof(info);

		if (c->streams[i].fd < 0 ||
		    getsockopt(c->streams[i].fd, IPPROTO_TCP, TCP_INFO, &info, &len))
			continue;
		r->connections++;
		r->retransmits += info.tcpi_total_retrans;
		r->cwnd_min_segments = min_of(r->cwnd_min_segments, info.tcpi_snd_cwnd);
	}
}

static void reply(struct client *c, u32 order)
{
	struct demo_report r = {.order = order,
	                        .bytes_verified = c->bytes_verified,
	                        .bytes_wrong = c->bytes_wrong,
	                        .messages = c->messages,
	                        .broken = c->broken,
	                        .resets = demo_read_resets()};

	report_sockets(c, &r);
	memcpy(r.text, c->text, sizeof(r.text));
	if (write(c->control, &r, sizeof(r)) != sizeof(r))
		exit(1);
	c->pending.order = UINT32_MAX;
}

static bool all_quiet(const struct client *c)
{
	for (u32 i = 0; i < c->n; i++) {
		const struct stream *s = &c->streams[i];

		if (s->fd >= 0 && s->busy)
			return false;
		if (s->fd >= 0 && s->kind == DEMO_IDLE && s->messages < 2)
			return false;
	}
	return true;
}

/* After the drain: our FIN on every stream, then wait for the peer's. */
static bool all_finished(const struct client *c)
{
	for (u32 i = 0; i < c->n; i++) {
		if (c->streams[i].fd >= 0 && !c->streams[i].fin_seen)
			return false;
	}
	return true;
}

/*
 * Our FINs, few at a time, so that the server answers each at once: when its FIN coincides with the
 * kernel's delayed ACK of ours on another core, the two may swap on the wire, and the kernel
 * answers the echo of that with a reset, whoever runs the connections.
 */
static void finish_more(struct client *c)
{
	u32 open = 0;

	for (u32 i = 0; c->finishing && i < c->n && open < FINISH_WINDOW; i++) {
		struct stream *s = &c->streams[i];

		if (s->fd < 0 || s->fin_seen)
			continue;
		if (s->kind != DEMO_HALF_CLIENT)
			open++;
		if (s->fin_sent)
			continue;
		shutdown(s->fd, SHUT_WR);
		s->fin_sent = 1;
	}
}

static void obey(struct client *c, const struct demo_request *q)
{
	c->pending = *q;
	switch (q->order) {
	case DEMO_READY:
		if (demo_net_accept_any_mac(DEMO_CLIENT_IF)) {
			c->broken++;
			snprintf(c->text, sizeof(c->text), "tc at the client's interface");
		}
		reply(c, q->order);
		return;
	case DEMO_CONNECT:
		c->connect_goal = c->n + q->arg;
		return;
	case DEMO_GO:
		c->going = true;
		c->next_ns = now_ns();
		reply(c, q->order);
		return;
	case DEMO_DRAIN:
		c->draining = true;
		return;
	case DEMO_FINISH:
		c->finishing = true;
		c->going = false;
		return;
	case DEMO_QUIT:
		exit(0);
	default:
		reply(c, q->order);
	}
}

/* What an order waits for. */
static void check_pending(struct client *c)
{
	switch (c->pending.order) {
	case DEMO_CONNECT:
		if (c->n == c->connect_goal && !c->connecting)
			reply(c, DEMO_CONNECT);
		return;
	case DEMO_DRAIN:
		if (all_quiet(c))
			reply(c, DEMO_DRAIN);
		return;
	case DEMO_FINISH:
		if (all_finished(c))
			reply(c, DEMO_FINISH);
		return;
	default:
		return;
	}
}

/* Lets streams speak at the configured rate; in the drain only those that owe a last word. */
static void speak(struct client *c, u64 now)
{
	u64 gap = NS_PER_S / max_of(c->options->rate, 1u);
	u32 tried = 0, budget = 64;

	if (!c->going || !c->n)
		return;
	while ((c->next_ns <= now || c->draining) && tried < c->n && budget) {
		struct stream *s = &c->streams[c->cursor];

		c->cursor = (c->cursor + 1) % c->n;
		tried++;
		if (!stream_may_speak(c, s))
			continue;
		if (c->draining && (s->kind != DEMO_IDLE || s->messages >= 2))
			continue;
		stream_speak(c, s);
		budget--;
		c->next_ns += gap;
	}
	if (c->next_ns + 10 * NS_PER_MS < now)
		c->next_ns = now;
}

static void connect_more(struct client *c)
{
	while (c->n < c->connect_goal && c->connecting < CONNECT_WINDOW)
		stream_connect(c, c->n++);
}

static void dispatch(struct client *c, const struct epoll_event *ev)
{
	struct stream *s = ev->data.ptr;
	struct demo_request q;

	if (!s) {
		if (read(c->control, &q, sizeof(q)) != sizeof(q))
			exit(0);
		obey(c, &q);
		return;
	}
	if (s->fd < 0)
		return;
	if (!s->connected) {
		stream_connected(c, s);
		return;
	}
	if (ev->events & (EPOLLIN | EPOLLERR | EPOLLHUP) && !s->fin_seen)
		stream_receive(c, s);
	if (s->fd >= 0 && ev->events & EPOLLOUT)
		stream_send(c, s);
}

void demo_client_main(int control, const struct demo_options *options)
{
	struct client *c = calloc(1, sizeof(*c));
	struct epoll_event ev = {.events = EPOLLIN}, events[EVENTS_MAX];

	prctl(PR_SET_NAME, "chimney-client");
	c->options = options;
	c->control = control;
	c->streams = calloc(options->connections + options->extra, sizeof(*c->streams));
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	c->rng = 0x1234567;
	c->pending.order = UINT32_MAX;
	pattern_init();
	epoll_ctl(c->epoll, EPOLL_CTL_ADD, control, &ev);
	for (;;) {
		int n = epoll_wait(c->epoll, events, EVENTS_MAX,
		                   c->going || c->connecting || c->finishing ? 1 : 50);

		for (int i = 0; i < n; i++)
			dispatch(c, &events[i]);
		connect_more(c);
		speak(c, now_ns());
		finish_more(c);
		check_pending(c);
	}
}
