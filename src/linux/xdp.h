/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The XDP program of a port in XDP mode. It looks flows up in the maps of the steering programs, so
 * a flow is entered once for both. One program an interface, whichever lanes serve its queues.
 * Loaded here; the port attaches it (port/afxdp.h) and enters its sockets into the XSKMAP.
 */
#ifndef LINUX_XDP_H
#define LINUX_XDP_H

#include "base/types.h"

struct steering;
struct xdp_program;

/* Loads the program for maps of the size of those of `s`, whose counters it shares. -Exxx of the
 * kernel. */
int xdp_program_load(const struct steering *s, struct xdp_program **ret_program) MUST_CHECK;
/* Frames of queue `queue` are looked up in the maps of `s`, a steering of the same size. -Exxx. */
int xdp_program_serve(struct xdp_program *p, u32 queue, const struct steering *s) MUST_CHECK;
void xdp_program_unload(struct xdp_program *p);

/* Descriptors for port_afxdp_create(); the program's. */
int xdp_program_fd(const struct xdp_program *p);
int xdp_program_xsks_fd(const struct xdp_program *p);

/* How many receive queues an interface has (at least 1): a port each, or frames of the others come
 * to the kernel. Asked in the namespace of the calling thread. */
u32 xdp_queues(u32 ifindex);

/* True when the far end of the interface is this machine's own (veth): frames come with checksums
 * that were never filled in, so the link has to be trusted (trap 25). */
bool xdp_link_is_local(u32 ifindex);

#endif
