// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/links.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "linux/links_carrier.h"
#include "wire/ethernet.h"

enum {
	LACP_WORDS = (sizeof(struct lacp) + 7) / 8,
	FRAME_BYTES = 256,
	PDUS_AT_ONCE = 64,
	FDS_MAX = 2 + 2 * LACP_PORTS_MAX,
};

union lacp_words {
	struct lacp lacp;
	u64 word[LACP_WORDS];
};

struct link {
	struct link_socket slow;
	struct probe probe;
	bool known; /* the kernel has told of the interface */
	bool carrier;
	u32 down;               /* causes; written by the thread alone, atomically */
	u64 at_ns[TEAM_CAUSES]; /* of the last change; as above */
	u32 told;               /* the reader's: what it has been told */
};

struct links {
	struct links_config config;
	struct link link[LACP_PORTS_MAX];
	struct carrier *carrier;
	union lacp_words lacp;
	union lacp_words shown; /* copy of `lacp`; while it is written, `shown_seq` is odd */
	u32 shown_seq;
	u32 held; /* bits of links, by links_hold() */
	u32 stop;
	int wake, changed; /* eventfds: to the thread, to the reader */
	pthread_t thread;
	bool has_thread;
	bool news; /* the thread's */
};

static u64 now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}

static void ring(int fd)
{
	u64 one = 1;

	(void)!write(fd, &one, sizeof(one));
}

static void silence(int fd)
{
	u64 n;

	(void)!read(fd, &n, sizeof(n));
}

/* -- what is told ------------------------------------------------------------------------------ */

static void set_cause(struct links *l, u32 i, enum team_cause cause, bool up, u64 now_ns)
{
	struct link *k = &l->link[i];
	u32 down = up ? k->down & ~(1u << cause) : k->down | 1u << cause;

	if (down == k->down)
		return;
	__atomic_store_n(&k->at_ns[cause], now_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&k->down, down, __ATOMIC_RELEASE);
	l->news = true;
}

static void show_lacp(struct links *l)
{
	u32 seq = l->shown_seq;

	/* Release and acquire at each word: who sees one of the new words sees the odd number too.
	 */
	__atomic_store_n(&l->shown_seq, seq + 1, __ATOMIC_RELAXED);
	for (u32 i = 0; i < LACP_WORDS; i++)
		__atomic_store_n(&l->shown.word[i], l->lacp.word[i], __ATOMIC_RELEASE);
	__atomic_store_n(&l->shown_seq, seq + 2, __ATOMIC_RELEASE);
}

void links_lacp(const struct links *l, struct lacp *ret)
{
	union lacp_words copy;
	u32 seq;

	do {
		seq = __atomic_load_n(&l->shown_seq, __ATOMIC_ACQUIRE);
		for (u32 i = 0; i < LACP_WORDS; i++)
			copy.word[i] = __atomic_load_n(&l->shown.word[i], __ATOMIC_ACQUIRE);
	} while ((seq & 1) || seq != __atomic_load_n(&l->shown_seq, __ATOMIC_RELAXED));
	*ret = copy.lacp;
}

u32 links_changes(struct links *l, struct links_change *ret, u32 cap)
{
	u32 n = 0;

	silence(l->changed); /* before reading: what comes later rings again */
	for (u32 i = 0; i < l->config.n; i++) {
		struct link *k = &l->link[i];
		u32 down = __atomic_load_n(&k->down, __ATOMIC_ACQUIRE);

		for (u32 cause = 0; cause < TEAM_CAUSES; cause++) {
			if (!((down ^ k->told) >> cause & 1))
				continue;
			if (n == cap) {
				ring(l->changed);
				return n;
			}
			ret[n++] = (struct links_change){
				.link = i,
				.cause = (u8)cause,
				.up = !(down >> cause & 1),
				.at_ns = __atomic_load_n(&k->at_ns[cause], __ATOMIC_RELAXED),
			};
			k->told ^= 1u << cause;
		}
	}
	return n;
}

int links_fd(const struct links *l)
{
	return l->changed;
}

void links_hold(struct links *l, u32 link, bool held)
{
	if (held)
		__atomic_or_fetch(&l->held, 1u << link, __ATOMIC_RELEASE);
	else
		__atomic_and_fetch(&l->held, ~(1u << link), __ATOMIC_RELEASE);
	ring(l->wake);
}

/* -- the thread -------------------------------------------------------------------------------- */

static void on_carrier(void *ctx, u32 ifindex, bool up)
{
	struct links *l = ctx;

	for (u32 i = 0; i < l->config.n; i++)
		if (l->config.ifindex[i] == ifindex) {
			l->link[i].known = true;
			l->link[i].carrier = up;
		}
}

/* Carrier and orders, to whom they concern. */
static void settle(struct links *l, u64 now_ns)
{
	u32 held = __atomic_load_n(&l->held, __ATOMIC_ACQUIRE);

	for (u32 i = 0; i < l->config.n; i++) {
		struct link *k = &l->link[i];
		bool is_held = held >> i & 1;

		set_cause(l, i, TEAM_CARRIER, k->carrier, now_ns);
		set_cause(l, i, TEAM_ADMIN, !is_held, now_ns);
		if (l->config.with_lacp) {
			lacp_carrier(&l->lacp.lacp, i, k->carrier, now_ns);
			if (l->lacp.lacp.port[i].held != is_held)
				lacp_hold(&l->lacp.lacp, i, is_held, now_ns);
		}
	}
}

static void serve_lacp(struct links *l, u64 now_ns)
{
	struct lacp *lacp = &l->lacp.lacp;
	u8 buf[FRAME_BYTES];

	for (u32 i = 0; i < l->config.n; i++) {
		u32 len = 1;

		for (u32 n = 0; n < PDUS_AT_ONCE && len; n++) {
			len = link_socket_receive(&l->link[i].slow, buf, sizeof(buf));
			if (len)
				(void)lacp_receive(lacp, i, buf, len, now_ns); /* counted there */
		}
	}
	lacp_timers(lacp, now_ns);
	for (u32 i = 0; i < l->config.n; i++) {
		u32 len;

		/* One that does not leave is like one that is lost: the next follows. */
		while ((len = lacp_transmit(lacp, i, buf, now_ns)))
			(void)link_socket_send(&l->link[i].slow, &wire_slow_address, buf, len);
		set_cause(l, i, TEAM_LACP, lacp_is_up(lacp, i), now_ns);
	}
	show_lacp(l);
}

static void serve_probes(struct links *l, u64 now_ns)
{
	for (u32 i = 0; i < l->config.n; i++) {
		probe_serve(&l->link[i].probe);
		probe_timer(&l->link[i].probe, now_ns);
		set_cause(l, i, TEAM_PROBE, l->link[i].probe.up, now_ns);
	}
}

static void turn(struct links *l)
{
	u64 now_ns;

	carrier_serve(l->carrier);
	now_ns = now();
	settle(l, now_ns);
	if (l->config.with_lacp)
		serve_lacp(l, now_ns);
	if (probe_is_wanted(&l->config.probe))
		serve_probes(l, now_ns);
	if (l->news)
		ring(l->changed);
	l->news = false;
}

static u64 next_ns(const struct links *l)
{
	u64 next = l->config.with_lacp ? lacp_next_ns(&l->lacp.lacp) : UINT64_MAX;

	for (u32 i = 0; probe_is_wanted(&l->config.probe) && i < l->config.n; i++)
		next = min_of(next, l->link[i].probe.next_ns);
	return next;
}

static void sleep_until(u64 at_ns, struct pollfd *fds, u32 n)
{
	u64 now_ns = now(), wait = at_ns > now_ns ? at_ns - now_ns : 0;
	struct timespec t = {.tv_sec = (time_t)(wait / NS_PER_S),
	                     .tv_nsec = (long)(wait % NS_PER_S)};

	(void)ppoll(fds, n, at_ns == UINT64_MAX ? NULL : &t, NULL);
}

static void *run(void *arg)
{
	struct links *l = arg;
	struct pollfd fds[FDS_MAX];
	u32 n = 0;

	fds[n++] = (struct pollfd){.fd = l->wake, .events = POLLIN};
	fds[n++] = (struct pollfd){.fd = carrier_fd(l->carrier), .events = POLLIN};
	for (u32 i = 0; i < l->config.n; i++) {
		if (l->config.with_lacp)
			fds[n++] = (struct pollfd){.fd = l->link[i].slow.fd, .events = POLLIN};
		if (probe_is_wanted(&l->config.probe))
			fds[n++] =
				(struct pollfd){.fd = l->link[i].probe.socket.fd, .events = POLLIN};
	}
	while (!__atomic_load_n(&l->stop, __ATOMIC_ACQUIRE)) {
		sleep_until(next_ns(l), fds, n);
		silence(l->wake);
		turn(l);
	}
	return NULL;
}

/* -- start and stop ---------------------------------------------------------------------------- */

static int refuse(char *why, int err, const char *what, const char *next)
{
	snprintf(why, LINKS_WHY_BYTES, "%s (%s). %s", what, strerrordesc_np(-err), next);
	return err;
}

static int refuse_link(const struct links *l, u32 i, char *why, int err, const char *what)
{
	char name[IF_NAMESIZE] = "?", text[LINKS_WHY_BYTES / 2];

	if_indextoname(l->config.ifindex[i], name);
	snprintf(text, sizeof(text), "Link %u (interface %s, index %u): %s", i, name,
	         l->config.ifindex[i], what);
	return refuse(why, err, text,
	              err == -EPERM    ? "Start it with CAP_NET_RAW."
	              : err == -EINVAL ? "Give the probe a source address of the target's family."
	                               : "Name Ethernet interfaces that are there (ip link).");
}

static int open_link(struct links *l, u32 i, char *why)
{
	struct link *k = &l->link[i];
	int err;

	if (!k->known)
		return refuse_link(l, i, why, -ENODEV, "the kernel knows no such interface");
	if (l->config.with_lacp) {
		err = link_socket_open(&k->slow, l->config.ifindex[i], WIRE_ETH_SLOW,
		                       &wire_slow_address);
		if (err)
			return refuse_link(l, i, why, err, "no packet socket for LACP");
	}
	if (!probe_is_wanted(&l->config.probe))
		return 0;
	err = probe_open(&k->probe, &l->config.probe, l->config.ifindex[i], now());
	return err ? refuse_link(l, i, why, err, "no packet socket for the probe") : 0;
}

static int open_all(struct links *l, char *why)
{
	int err;

	l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->changed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake < 0 || l->changed < 0)
		return refuse(why, -errno, "No eventfd",
		              "Raise the limit of descriptors (ulimit -n).");
	err = carrier_open(&l->carrier, on_carrier, l);
	if (err)
		return refuse(why, err, "rtnetlink does not tell of links",
		              "Look whether netlink sockets are allowed here.");
	for (u32 i = 0; !err && i < l->config.n; i++)
		err = open_link(l, i, why);
	return err;
}

int links_start(const struct links_config *config, struct links **ret, char *why)
{
	struct links *l;
	int err;

	if (!config->n || config->n > LACP_PORTS_MAX)
		return refuse(why, -EINVAL, "A team has 1 to 8 links", "Name so many interfaces.");
	l = calloc(1, sizeof(*l));
	if (!l)
		return refuse(why, -ENOMEM, "No memory for the links", "Free some.");
	l->config = *config;
	l->config.lacp.ports = config->n;
	for (u32 i = 0; i < LACP_PORTS_MAX; i++)
		l->link[i].slow.fd = l->link[i].probe.socket.fd = -1;
	lacp_init(&l->lacp.lacp, &l->config.lacp);
	err = open_all(l, why);
	if (!err) {
		turn(l);
		err = -pthread_create(&l->thread, NULL, run, l);
		l->has_thread = !err;
		if (err)
			refuse(why, err, "No thread for the links", "Raise the limit of threads.");
	}
	if (err)
		links_stop(l);
	else
		*ret = l;
	return err;
}

void links_stop(struct links *l)
{
	if (l->has_thread) {
		__atomic_store_n(&l->stop, 1, __ATOMIC_RELEASE);
		ring(l->wake);
		pthread_join(l->thread, NULL);
	}
	for (u32 i = 0; i < l->config.n; i++) {
		link_socket_close(&l->link[i].slow);
		probe_close(&l->link[i].probe);
	}
	if (l->carrier)
		carrier_close(l->carrier);
	if (l->wake >= 0)
		close(l->wake);
	if (l->changed >= 0)
		close(l->changed);
	free(l);
}
