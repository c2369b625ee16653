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

/* One more port of the lane: a TAP. */
static int add_tap(struct lib_lane *l)
{
	struct port_tap_config config = {
		.pool = target_pool(l->target),
		.ifindex = l->context->ifindex,
		.queue_frames = max_of(l->context->options.max_connections, 4096u),
		.mark = STEER_LANE_MARK,
	};
	const char *step = "?";
	int err = port_tap_create(&config, &l->ports[l->n_ports], &step);

	if (err)
		return failed(err, "no TAP", step);
	l->n_ports++;
	return 0;
}

static int open_tap(struct lib_lane *l)
{
	int err = add_tap(l);

	return err ? err : manage(l, port_tap_ifindex(l->ports[0]));
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

u32 lib_port_queues(const struct chimney_context *c, u32 lane)
{
	u32 queues = xdp_queues(c->ifindex), lanes = c->options.lanes;

	if (c->options.port_mode != CHIMNEY_PORT_XDP || lane >= queues)
		return 0;
	return (queues - lane - 1) / lanes + 1;
}

u32 lib_port_buffers(const struct chimney_context *c, u32 lane)
{
	return lib_port_queues(c, lane) * xdp_ring_frames(c);
}

/* The program is the interface's: the first lane loads it, and attaches it with its first port. */
static int load_program(struct lib_lane *l)
{
	struct chimney_context *c = l->context;
	int err = 0;

	if (!c->xdp)
		err = xdp_program_load(linux_backend_steering(l->backend), &c->xdp);
	return err ? failed(err, "no XDP program", "load") : 0;
}

/* A socket on the queue, and the lane's flows for the program to find there. */
static int open_queue(struct lib_lane *l, u32 queue)
{
	struct chimney_context *c = l->context;
	struct port *first = c->lanes[0].ports[0];
	struct port_afxdp_config config = {
		.pool = target_pool(l->target),
		.ifindex = c->ifindex,
		.queue = queue,
		.prog_fd = first ? -1 : xdp_program_fd(c->xdp),
		.xsks_fd = xdp_program_xsks_fd(c->xdp),
		.ring_frames = xdp_ring_frames(c),
		.fill_frames = xdp_ring_frames(c),
		.rx_trusted = xdp_link_is_local(c->ifindex),
	};
	const char *step = "flows";
	struct port_info info;
	int err = xdp_program_serve(c->xdp, queue, linux_backend_steering(l->backend));

	if (first) {
		first->ops->info(first, &info);
		config.no_native = !strcmp(info.mode, "xdp-generic");
	}
	if (!err)
		err = port_afxdp_create(&config, &l->ports[l->n_ports], &step);
	if (err)
		return failed(err, "no AF_XDP socket", step);
	l->n_ports++;
	return 0;
}

/*
 * Lane i of n serves the queues i, i + n, ...: a frame can go to a socket of its own queue only,
 * and which queue that is the card says. What comes on the queue of another lane passes the
 * program, and tc steers it to the lane's TAP, so lanes need nothing from each other. A lane
 * without a queue has the TAP alone.
 */
static int open_xdp(struct lib_lane *l)
{
	const struct chimney_context *c = l->context;
	u32 queues = xdp_queues(c->ifindex), own = lib_port_queues(c, l->index);
	int err = 0;

	if (own + (own < queues) > TCP_PORTS_MAX)
		return lib_fail(-E2BIG,
		                "\"%s\" has %u receive queues, a lane can serve %u: more lanes, or "
		                "fewer queues by ethtool -L",
		                c->options.interface, queues,
		                TCP_PORTS_MAX - (c->options.lanes > 1));
	if (!own)
		return open_tap(l);
	err = manage(l, 0);
	if (!err)
		err = load_program(l);
	for (u32 q = l->index; q < queues && !err; q += c->options.lanes)
		err = open_queue(l, q);
	if (err || own == queues)
		return err;
	err = add_tap(l);
	if (!err) {
		err = linux_backend_add_tap(l->backend, c->ifindex,
		                            port_tap_ifindex(l->ports[own]));
		if (err)
			failed(err, "the TAP cannot be managed", "steering");
	}
	return err;
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
	if (l->backend)
		linux_backend_destroy(l->backend);
}
