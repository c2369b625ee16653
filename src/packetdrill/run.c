/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The order of events and their times. */
#include "packetdrill/run.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdlib.h>

enum { LATE_USECS = 1 };

bool run_fail(struct run *r, const struct event *e, const char *format, ...)
{
	va_list args;
	int n;

	if (r->error[0])
		return false;
	n = snprintf(r->error, sizeof(r->error), "%s:%d: ", r->script->file, e ? e->line : 0);
	va_start(args, format);
	vsnprintf(r->error + n, sizeof(r->error) - (size_t)n, format, args);
	va_end(args);
	return false;
}

u8 run_pattern(bool out, u32 offset)
{
	return (u8)(offset * 131 ^ (offset >> 8) * 7 ^ (out ? 91 : 17));
}

s64 run_now(struct run *r)
{
	struct timeval tv;

	r->ifc.gettimeofday(r->ifc.userdata, &tv, NULL);
	return tv.tv_sec * 1000000ll + tv.tv_usec - r->start_usecs;
}

s64 run_event_usecs(const struct run *r, const struct event *e, s64 usecs)
{
	return e->time_kind == TIME_RELATIVE ? r->base_usecs + usecs : usecs;
}

bool run_is_near(const struct run *r, s64 a, s64 b)
{
	return llabs(a - b) <= r->script->tolerance_usecs;
}

/* -- moves ------------------------------------------------------------------------------------- */

static void move(struct run *r, bool to_target)
{
	int n = r->config.move(r->ifc.userdata, to_target);

	if (to_target)
		r->moved = max_of(r->moved, (u32)max_of(n, 0));
}

static void move_before(struct run *r, const struct event *e)
{
	if (r->config.move_line == (u32)e->line)
		move(r, true);
	else if (r->config.move_whole && e->next)
		move(r, true);
	else if (r->config.move_whole)
		move(r, false);
}

static void move_after(struct run *r, const struct event *e)
{
	if (r->config.move_line == (u32)e->line)
		move(r, false);
}

/* -- events ------------------------------------------------------------------------------------ */

/* Waits until the event is due. */
static bool wait_for(struct run *r, const struct event *e)
{
	s64 due = run_event_usecs(r, e, e->usecs), now = run_now(r);

	if (e->time_kind == TIME_ANY)
		return true;
	if (now > due + r->script->tolerance_usecs)
		return run_fail(r, e,
		                "it is %.6f already, the event was due at %.6f; a packet before it "
		                "came late, or the times do not rise",
		                (double)now / 1e6, (double)due / 1e6);
	while (now + LATE_USECS < due) {
		r->ifc.usleep(r->ifc.userdata, (useconds_t)(due - now - LATE_USECS));
		now = run_now(r);
	}
	return true;
}

static bool run_event(struct run *r, const struct event *e)
{
	r->base_usecs = run_now(r);
	move_before(r, e);
	switch (e->kind) {
	case EVENT_PACKET:
		if (e->packet.out)
			return run_packet_out(r, e);
		return wait_for(r, e) && run_packet_in(r, e);
	case EVENT_CALL:
		return wait_for(r, e) && run_call(r, e);
	case EVENT_CHECK:
		return wait_for(r, e) && run_check(r, e);
	default:
		return true; /* a command has become a flag */
	}
}

/* -- making one -------------------------------------------------------------------------------- */

static bool read_addr(struct run *r, const char *text, u8 to[16])
{
	memset(to, 0, 16);
	if (inet_pton(AF_INET6, text, to) == 1)
		return true;
	to[10] = to[11] = 0xff;
	return inet_pton(AF_INET, text, to + 12) == 1 ||
	       run_fail(r, NULL, "\"%s\" is no address", text);
}

static bool start(struct run *r)
{
	const struct script *s = r->script;
	bool v4 = s->ip_version == 4;
	const char *local = s->local_ip ? s->local_ip : v4 ? "192.168.0.1" : "fd3d:a0b:17d6::1";
	const char *remote = s->remote_ip ? s->remote_ip : v4 ? "192.0.2.1" : "fd3d:fa7b:d17d::1";
	char flags[512];

	for (u32 i = 0; i < FDS_MAX; i++)
		r->fds[i].script = -1;
	r->last_fd = -1;
	r->packet = malloc(PACKET_MAX);
	if (!r->packet)
		return run_fail(r, NULL, "out of memory");
	if (!read_addr(r, local, r->local) || !read_addr(r, remote, r->remote))
		return false;
	snprintf(flags, sizeof(flags), "sysctl=off,local=%s,mtu=%u%s%s%s", local, s->mtu, s->flags,
	         r->config.flags[0] ? "," : "", r->config.flags);
	r->config.init(flags, &r->ifc);
	r->start_usecs = run_now(r);
	return true;
}

bool run_script(struct run *r, const struct script *script, const struct run_config *config)
{
	const struct event *last = script->events;

	*r = (struct run){.config = *config, .script = script};
	if (!start(r))
		return false;
	for (const struct event *e = script->events; e; e = e->next) {
		if (!run_event(r, e))
			return false;
		move_after(r, e);
		last = e;
	}
	return run_await(r) && (!config->strict || run_packet_none_left(r, last));
}

void run_free(struct run *r)
{
	if (r->has_pending) {
		/* The script failed while a call waits: nothing else will wake it. */
		pthread_cancel(r->thread);
		pthread_join(r->thread, NULL);
		free(r->pending.bytes);
	} else if (r->ifc.free) {
		r->ifc.free(r->ifc.userdata);
	}
	while (r->flows) {
		struct flow *f = r->flows;

		r->flows = f->next;
		free(f);
	}
	free(r->packet);
}
