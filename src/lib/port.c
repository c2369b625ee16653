/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The port of a lane, and the kernel behind it. */
#include "bpf/flow.h"
#include "lib/internal.h"
#include "port/afxdp.h"
#include "port/tap.h"

#include <errno.h>
#include <string.h>

enum {
	RESOLVE_WAIT_MS = 100,
	XDP_RING_MIN = 2048,
	XDP_RING_MAX = 16384,
};

static int failed(int err, const char *what, const char *step)
{
	if (err == -EPERM || err == -EACCES)
		return lib_fail(-EPERM,
		                "%s (%s): run as root, or with CAP_NET_ADMIN, CAP_BPF and "
		                "CAP_SYS_NICE",
		                what, step);
	return lib_fail(err, "%s (%s): %s", what, step, strerror(-err));
}

static int open_backend(struct lib_lane *l)
{
	struct linux_backend_config config = {
		.capacity = l->context->options.max_connections,
		.resolve_wait_ms = RESOLVE_WAIT_MS,
	};
	const char *step = "?";
	int err = linux_backend_create(&config, &l->backend, &step);

	return err ? failed(err, "the kernel's part cannot be set up", step) : 0;
}

/* Port number 0 of the lane stands for the interface, whichever queue it is. */
static int manage(struct lib_lane *l, u32 tap_ifindex)
{
	int err = linux_backend_add_port(l->backend, l->context->ifindex, 0, tap_ifindex);

	return err ? failed(err, "the interface cannot be managed", l->context->options.interface)
	           : 0;
}

static int open_tap(struct lib_lane *l)
{
	struct port_tap_config config = {
		.pool = target_pool(l->target),
		.ifindex = l->context->ifindex,
		.queue_frames = max_of(l->context->options.max_connections, 4096u),
		.mark = STEER_LANE_MARK,
	};
	const char *step = "?";
	int err = port_tap_create(&config, &l->ports[0], &step);

	if (err)
		return failed(err, "no TAP", step);
	l->n_ports = 1;
	return manage(l, port_tap_ifindex(l->ports[0]));
}

/* Frames that a queue holds while the lane does something else: an ACK and a request of each
 * connection, or what does not fit is lost. A power of two. */
static u32 xdp_ring_frames(const struct chimney_context *c)
{
	u32 want = 2 * c->options.max_connections / xdp_queues(c->ifindex), frames = XDP_RING_MIN;

	while (frames < want && frames < XDP_RING_MAX)
		frames *= 2;
	return frames;
}

u32 lib_port_buffers(const struct chimney_context *c)
{
	if (c->options.port_mode != CHIMNEY_PORT_XDP)
		return 0;
	return xdp_queues(c->ifindex) * xdp_ring_frames(c);
}

/* A socket on every receive queue: the first attaches the program and finds the mode. */
static int open_xdp(struct lib_lane *l)
{
	u32 ifindex = l->context->ifindex, queues = xdp_queues(ifindex);
	struct port_afxdp_config config = {
		.pool = target_pool(l->target),
		.ifindex = ifindex,
		.ring_frames = xdp_ring_frames(l->context),
		.fill_frames = xdp_ring_frames(l->context),
		.rx_trusted = xdp_link_is_local(ifindex),
	};
	int err = manage(l, 0);

	if (err)
		return err;
	if (queues > TCP_PORTS_MAX)
		return lib_fail(-E2BIG,
		                "\"%s\" has %u receive queues, at most %u can be served: "
		                "ethtool -L lowers them",
		                l->context->options.interface, queues, TCP_PORTS_MAX);
	err = xdp_program_load(linux_backend_steering(l->backend), &l->xdp);
	if (err)
		return failed(err, "no XDP program", "load");
	config.prog_fd = xdp_program_fd(l->xdp);
	config.xsks_fd = xdp_program_xsks_fd(l->xdp);
	while (l->n_ports < queues) {
		const char *step = "?";
		struct port_info info;

		config.queue = l->n_ports;
		err = port_afxdp_create(&config, &l->ports[l->n_ports], &step);
		if (err)
			return failed(err, "no AF_XDP socket", step);
		l->ports[0]->ops->info(l->ports[0], &info);
		config.prog_fd = -1;
		config.no_native = !strcmp(info.mode, "xdp-generic");
		l->n_ports++;
	}
	return 0;
}

int lib_port_open(struct lib_lane *l)
{
	int err = open_backend(l);

	if (err)
		return err;
	return l->context->options.port_mode == CHIMNEY_PORT_XDP ? open_xdp(l) : open_tap(l);
}

void lib_port_close(struct lib_lane *l)
{
	for (u32 i = l->n_ports; i-- > 0;)
		l->ports[i]->ops->destroy(l->ports[i]);
	if (l->xdp)
		xdp_program_unload(l->xdp);
	if (l->backend)
		linux_backend_destroy(l->backend);
}
