/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A context: options, lanes. */
#include "lib/internal.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

enum {
	LANES_MAX = 64,
	CONNECTIONS_DEFAULT = 16384,
	CONNECTIONS_MAX = 1 << 24,
	SPIN_US_DEFAULT = 50,
	CHUNK_US_DEFAULT = 1000,
	QUIET_MS_DEFAULT = 20,
	BUFFERS_MIN = 4096,
	LARGE_MIN = 256,
};

static void defaults(struct chimney_context_options *o)
{
	if (!o->lanes)
		o->lanes = 1;
	if (!o->max_connections)
		o->max_connections = CONNECTIONS_DEFAULT;
	if (!o->spin_us)
		o->spin_us = SPIN_US_DEFAULT;
	if (!o->chunk_us)
		o->chunk_us = CHUNK_US_DEFAULT;
	if (!o->quiet_ms)
		o->quiet_ms = QUIET_MS_DEFAULT;
	if (!o->small_buffers)
		o->small_buffers = max_of(o->max_connections * 4, (u32)BUFFERS_MIN);
	if (!o->large_buffers)
		o->large_buffers = max_of(o->max_connections / 8, (u32)LARGE_MIN);
}

static int check(const struct chimney_context_options *o)
{
	if (o->port_mode > CHIMNEY_PORT_XDP)
		return lib_fail(-EINVAL,
		                "port_mode %u is none: CHIMNEY_PORT_TAP or CHIMNEY_PORT_XDP",
		                o->port_mode);
	if (o->flags & ~(uint32_t)CHIMNEY_LANES_CALLER)
		return lib_fail(-EINVAL, "flags 0x%x: only CHIMNEY_LANES_CALLER is one", o->flags);
	if (o->lanes > LANES_MAX)
		return lib_fail(-EINVAL, "%u lanes: at most %u", o->lanes, LANES_MAX);
	if (o->max_connections > CONNECTIONS_MAX)
		return lib_fail(-EINVAL, "max_connections %u: at most %u", o->max_connections,
		                CONNECTIONS_MAX);
	if (!o->interface)
		return lib_fail(-EINVAL, "options.interface is not set");
	return 0;
}

EXPORT int chimney_context_create(const struct chimney_context_options *options,
                                  struct chimney_context **ret_context)
{
	struct chimney_context *c;
	int err;

	if (options->size != sizeof(*options))
		return lib_fail(-EINVAL,
		                "options.size is %zu, not %zu: start from "
		                "CHIMNEY_CONTEXT_OPTIONS_INIT",
		                options->size, sizeof(*options));
	err = check(options);
	if (err)
		return err;
	c = calloc(1, sizeof(*c));
	if (!c)
		return lib_fail(-ENOMEM, "no memory for a context");
	c->options = *options;
	c->monitor_stop = -1;
	defaults(&c->options);
	c->caller_lanes = c->options.flags & CHIMNEY_LANES_CALLER;
	c->ifindex = if_nametoindex(c->options.interface);
	c->lanes = calloc(c->options.lanes, sizeof(*c->lanes));
	if (!c->ifindex)
		err = lib_fail(-ENODEV, "there is no interface \"%s\" in this network namespace",
		               options->interface);
	else if (!c->lanes)
		err = lib_fail(-ENOMEM, "no memory for %u lanes", c->options.lanes);
	while (!err && c->n_lanes < c->options.lanes) {
		err = lib_lane_start(&c->lanes[c->n_lanes], c, c->n_lanes);
		c->n_lanes++;
	}
	if (!err)
		err = lib_monitor_start(c);
	if (err) {
		chimney_context_destroy(c);
		return err;
	}
	*ret_context = c;
	return 0;
}

EXPORT void chimney_context_destroy(struct chimney_context *context)
{
	if (!context)
		return;
	for (u32 i = 0; i < context->n_lanes; i++)
		lib_lane_bring_home(&context->lanes[i]);
	lib_monitor_stop(context);
	for (u32 i = 0; i < context->n_lanes; i++)
		lib_lane_stop(&context->lanes[i]);
	if (context->xdp)
		xdp_program_unload(context->xdp);
	free(context->lanes);
	free(context);
}

EXPORT const char *chimney_context_mode(const struct chimney_context *context)
{
	struct port *port = context->lanes[0].ports[0];
	struct port_info info;

	port->ops->info(port, &info);
	return info.mode;
}

EXPORT unsigned int chimney_context_lanes(const struct chimney_context *context)
{
	return context->n_lanes;
}
