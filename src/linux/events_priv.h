/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Between events.c, taken.c and fragments.c. */
#ifndef LINUX_EVENTS_PRIV_H
#define LINUX_EVENTS_PRIV_H

#include "linux/backend_priv.h"
#include "linux/events.h"
#include "linux/fragments.h"
#include "linux/hosttap.h"

struct events {
	struct linux_backend *b;
	struct events_ops ops;
	void *ctx;
	struct mnl_socket *netlink;
	int epoll_fd;
	bool links[BACKEND_PORTS_MAX]; /* up, by the backend's index of the port */
	bool routes_dirty;
	bool overrun;
	struct events_counters counters;
	struct fragments *fragments;
	u8 frame[HOSTTAP_FRAME_MAX];
};

/* The path as inspect names it: with its egress in place of what the socket is bound to. */
struct path_key events_path_key(const struct path_entry *p);

/* Tells of a new MTU of path `index`. */
void events_mtu(struct events *ev, u32 index);

/* Reads what steering took aside on the host's TAPs: ICMP errors and fragments. */
void events_taken(struct events *ev, u64 now_ns);

#endif
