/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* System calls of a script: where they run, and what is compared afterwards. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "packetdrill/run.h"

enum {
	ARGS_MAX = 8,
	AWAIT_USECS = 1000,
	AWAIT_STEPS = 1000000, /* virtual time that a call may take after its event: 1000 s */
};

struct script_fd *run_fd(struct run *r, s32 script)
{
	for (u32 i = 0; i < FDS_MAX; i++) {
		if (r->fds[i].script == script && script >= 0)
			return &r->fds[i];
	}
	return NULL;
}

static bool add_fd(struct run *r, const struct event *e, s32 script, s32 live)
{
	struct script_fd *fd = run_fd(r, script);

	for (u32 i = 0; i < FDS_MAX && !fd; i++)
		fd = r->fds[i].script < 0 ? &r->fds[i] : NULL;
	if (!fd)
		return run_fail(r, e, "more than %d descriptors are open", FDS_MAX);
	*fd = (struct script_fd){.script = script, .live = live};
	return true;
}

/* -- comparing --------------------------------------------------------------------------------- */

static bool check_error(struct run *r, const struct call *c)
{
	const struct event *e = c->event;

	if (e->errno_name && c->error != symbol_errno(e->errno_name))
		return run_fail(r, e, "%s() failed with %s, expected %s", e->text,
		                symbol_errno_name(c->error), e->errno_name);
	return true;
}

static bool check_result(struct run *r, const struct call *c)
{
	const struct event *e = c->event;
	bool any = e->result->kind == EXPR_ELLIPSIS;
	s64 want = any ? c->result : e->result->value;

	if (c->result < 0 && want >= 0)
		return run_fail(r, e, "%s() failed with %s, expected %lld", e->text,
		                symbol_errno_name(c->error), (long long)want);
	if (c->type->makes_fd && c->result >= 0 && want >= 0)
		return add_fd(r, e, (s32)want, (s32)c->result);
	if (c->result != want)
		return run_fail(r, e, "%s() returned %lld, expected %lld", e->text,
		                (long long)c->result, (long long)want);
	return c->result >= 0 || check_error(r, c);
}

static u32 args_of(const struct event *e, const struct expr *arg[ARGS_MAX])
{
	u32 n = 0;

	for (const struct expr *a = e->args; a; a = a->next, n++) {
		if (n < ARGS_MAX)
			arg[n] = a;
	}
	return n;
}

static bool finish(struct run *r, struct call *c)
{
	const struct expr *arg[ARGS_MAX];
	bool ok = check_result(r, c);

	args_of(c->event, arg);
	if (ok && c->type->finish)
		ok = c->type->finish(r, c, arg);
	free(c->bytes);
	c->bytes = NULL;
	return ok;
}

/* -- calls that wait --------------------------------------------------------------------------- */

static void *call_thread(void *ctx)
{
	struct run *r = ctx;
	struct timeval tv;

	r->pending.type->invoke(&r->pending);
	r->ifc.gettimeofday(r->ifc.userdata, &tv, NULL);
	r->pending.end_usecs = tv.tv_sec * 1000000ll + tv.tv_usec - r->start_usecs;
	atomic_store(&r->done, true);
	return NULL;
}

/* True: it has returned; false: it waits in the stack. */
static bool is_done(struct run *r)
{
	for (;;) {
		if (atomic_load(&r->done))
			return true;
		if (r->config.waits(r->ifc.userdata))
			return false;
		sched_yield();
	}
}

static bool start_thread(struct run *r, const struct call *c)
{
	r->pending = *c;
	/* Pointers into the call itself. */
	r->pending.msg.msg_iov = r->pending.iov;
	atomic_store(&r->done, false);
	if (pthread_create(&r->thread, NULL, call_thread, r))
		return run_fail(r, c->event, "no thread for the call: %s", strerror(errno));
	r->has_pending = true;
	(void)is_done(r);
	return true;
}

bool run_await(struct run *r)
{
	const struct event *e = r->pending.event;
	s64 want;

	if (!r->has_pending)
		return true;
	for (u32 i = 0; i < AWAIT_STEPS && !is_done(r); i++)
		r->ifc.usleep(r->ifc.userdata, AWAIT_USECS);
	if (!is_done(r))
		return run_fail(r, e, "%s() does not return", e->text);
	pthread_join(r->thread, NULL);
	r->has_pending = false;
	want = r->pending.base_usecs + e->usecs_end;
	if (!run_is_near(r, r->pending.end_usecs, want)) {
		free(r->pending.bytes);
		return run_fail(r, e, "%s() returned at %.6f, expected at %.6f", e->text,
		                (double)r->pending.end_usecs / 1e6, (double)want / 1e6);
	}
	return finish(r, &r->pending);
}

/* -- one call ---------------------------------------------------------------------------------- */

bool run_call(struct run *r, const struct event *e)
{
	struct call c = {.ifc = &r->ifc, .event = e};
	const struct expr *arg[ARGS_MAX];
	s64 base = e->time_kind == TIME_RELATIVE ? r->base_usecs : 0;
	u32 n = args_of(e, arg);

	c.type = call_type_find(e->text, n);

	if (!run_await(r))
		return false;
	if (!c.type)
		return run_fail(r, e, "the call %s() is not known", e->text);
	if (n != c.type->n_args)
		return run_fail(r, e, "%s() has %u arguments, not %u", e->text, c.type->n_args, n);
	c.msg.msg_iov = c.iov;
	if (!c.type->prepare(r, &c, arg)) {
		free(c.bytes);
		return false;
	}
	if (e->usecs_end >= 0) {
		c.base_usecs = base;
		return start_thread(r, &c);
	}
	c.type->invoke(&c);
	return finish(r, &c);
}
