/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Probe of the path behind a link: an address is asked for by ARP (RFC 826) or neighbor discovery
 * (RFC 4861 7.2) at an interval, through that link alone. So many questions without an answer, and
 * the path is down; one answer, and it is up. The caller gives the time.
 */
#ifndef LINUX_LINKS_PROBE_H
#define LINUX_LINKS_PROBE_H

#include "linux/links_slow.h"

struct probe_config {
	struct ip_addr target; /* all zero: no probe */
	struct ip_addr
		source;  /* IPv4: may be all zero (RFC 5227 2.1); IPv6: a link's own address */
	u64 interval_ns; /* 0: 1 s */
	u32 misses;      /* 0: 3 */
};

struct probe_counters {
	u64 asked, answered, unsent;
};

struct probe {
	struct probe_config config;
	struct link_socket socket;
	u64 next_ns; /* when probe_timer() has something to do */
	u32 unanswered;
	bool up; /* until it is known to be down */
	struct probe_counters counters;
};

static inline bool probe_is_wanted(const struct probe_config *config)
{
	static const struct ip_addr none;

	return memcmp(&config->target, &none, sizeof(none)) != 0;
}

/* Asks first at now_ns. -EINVAL: IPv6 without a source address; else of link_socket_open(). */
int probe_open(struct probe *p, const struct probe_config *config, u32 ifindex,
               u64 now_ns) MUST_CHECK;
void probe_close(struct probe *p);

/* Its socket is readable. */
void probe_serve(struct probe *p);
void probe_timer(struct probe *p, u64 now_ns);

#endif
