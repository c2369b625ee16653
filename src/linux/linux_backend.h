/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The Linux kernel as host: struct backend_ops over steering, repair mode and rtnetlink. The name
 * of a connection (struct move.conn) is its descriptor in this process.
 *
 * A backend belongs to the network namespace of the thread that creates it and to one thread at a
 * time. Several may manage the same interfaces, each for its own flows.
 */
#ifndef LINUX_LINUX_BACKEND_H
#define LINUX_LINUX_BACKEND_H

#include "host/backend.h"

#include "bpf/flow.h"

struct linux_backend;
struct linux_sys;
struct routes;
struct steering;

struct linux_backend_config {
	u32 capacity;                /* flows, 0: 16,384 */
	const struct linux_sys *sys; /* NULL: the kernel itself; tests put failures in between */
	u32 extra_file_refs; /* references to an adopted descriptor beside one (pidfd_getfd: 1) */
	u32 resolve_wait_ms; /* how long inspect waits for a neighbor that is not resolved yet */
	u32 netlink_buffer;  /* bytes for messages of changes, 0: 4 MiB */
	bool no_rtt;         /* do not let the kernel measure srtt after an import (trap 9) */
};

struct linux_backend_counters {
	u64 steer[STEER_COUNTERS];
	u64 flushed_acks, delayed_binds, unquiet, injected, inject_refused;
};

/* Loads and attaches what does not belong to one interface. -Exxx with the failing step. */
int linux_backend_create(const struct linux_backend_config *config,
                         struct linux_backend **ret_backend, const char **ret_step) MUST_CHECK;

/* Releases every flow, then detaches everything. Connections that are detached stay so: their
 * state is the caller's. */
void linux_backend_destroy(struct linux_backend *b);

/* Manages an interface: `port` is the lane's number for it, `tap_ifindex` the TAP on which the lane
 * reads and writes (0: the port is in XDP mode). -EEXIST, -ENOSPC, -Exxx of the kernel. */
int linux_backend_add_port(struct linux_backend *b, u32 ifindex, u32 port,
                           u32 tap_ifindex) MUST_CHECK;
/* Where a port in XDP mode gets frames that come on a queue which is not its lane's. -ENODEV: not
 * managed; -ENOSPC. */
int linux_backend_add_tap(struct linux_backend *b, u32 ifindex, u32 tap_ifindex) MUST_CHECK;
void linux_backend_remove_port(struct linux_backend *b, u32 ifindex);

struct backend linux_backend_interface(struct linux_backend *b);

void linux_backend_counters(struct linux_backend *b, struct linux_backend_counters *ret);

/* For the monitor, ICMP and XDP parts. */
struct routes *linux_backend_routes(struct linux_backend *b);
struct steering *linux_backend_steering(struct linux_backend *b);

#endif
