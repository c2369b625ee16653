/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The port of a lane, and the kernel behind it. */
#include "lib/internal.h"
#include "port/tap.h"

#include <errno.h>
#include <string.h>

enum {

	RESOLVE_WAIT_MS = 100,
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

static int open_backend(struct lib_lane *l, u32 tap_ifindex)
{
	struct linux_backend_config config = {
		.capacity = l->context->options.max_connections,
		.resolve_wait_ms = RESOLVE_WAIT_MS,
	};
	const char *step = "?";
	int err = linux_backend_create(&config, &l->backend, &step);

	if (err)
		return failed(err, "the kernel's part cannot be set up", step);
	err = linux_backend_add_port(l->backend, l->context->ifindex, 0, tap_ifindex);
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
	int err = port_tap_create(&config, &l->port, &step);

	if (err)
		return failed(err, "no TAP", step);
	return open_backend(l, port_tap_ifindex(l->port));
}

int lib_port_open(struct lib_lane *l)
{
	return open_tap(l);
}

void lib_port_close(struct lib_lane *l)
{
	if (l->backend)
		linux_backend_destroy(l->backend);
	if (l->port)
		l->port->ops->destroy(l->port);
}
