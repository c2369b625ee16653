/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The system calls of a script about options, readiness and pipes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <stdlib.h>

#include "packetdrill/run.h"

/* -- options ----------------------------------------------------------------------------------- */

/* An option's value: number, string or {onoff=1, linger=0}. */
static bool option_value(struct run *r, struct call *c, const struct expr *e)
{
	s64 n;
	int v[2];

	if (e->kind == EXPR_LIST && e->child)
		e = e->child;
	if (e->kind == EXPR_STRING) {
		c->value_len = (socklen_t)min_of(strlen(e->text), sizeof(c->value) - 1);
		memcpy(c->value, e->text, c->value_len);
		return true;
	}
	if (e->kind == EXPR_STRUCT) {
		const struct expr *on = call_member(e, "onoff"), *time = call_member(e, "linger");

		if (!on || !time || on->kind != EXPR_INT || time->kind != EXPR_INT)
			return run_fail(r, c->event, "write SO_LINGER as {onoff=1, linger=0}");
		v[0] = (int)on->value;
		v[1] = (int)time->value;
		c->value_len = sizeof(v);
		memcpy(c->value, v, sizeof(v));
		return true;
	}
	if (!call_int(r, c, e, &n))
		return false;
	v[0] = (int)n;
	c->value_len = sizeof(v[0]);
	memcpy(c->value, v, sizeof(v[0]));
	return true;
}

static bool prepare_option(struct run *r, struct call *c, const struct expr *const arg[])
{
	return call_fd(r, c, arg[0]) && call_int(r, c, arg[1], &c->arg[0]) &&
	       call_int(r, c, arg[2], &c->arg[1]);
}

static bool prepare_setsockopt(struct run *r, struct call *c, const struct expr *const arg[])
{
	s64 len;

	if (!prepare_option(r, c, arg) || !option_value(r, c, arg[3]) ||
	    !call_int(r, c, arg[4], &len))
		return false;
	c->value_len = (socklen_t)min_of(len, (s64)sizeof(c->value));
	return true;
}

static void invoke_setsockopt(struct call *c)
{
	CALL_RESULT(c, c->ifc->setsockopt(c->ifc->userdata, c->live, (int)c->arg[0], (int)c->arg[1],
	                                  c->value, c->value_len));
}

static bool prepare_getsockopt(struct run *r, struct call *c, const struct expr *const arg[])
{
	return prepare_option(r, c, arg);
}

static void invoke_getsockopt(struct call *c)
{
	c->value_len = sizeof(c->value) - 1;
	CALL_RESULT(c, c->ifc->getsockopt(c->ifc->userdata, c->live, (int)c->arg[0], (int)c->arg[1],
	                                  c->value, &c->value_len));
}

static bool finish_getsockopt(struct run *r, struct call *c, const struct expr *const arg[])
{
	struct call want = {.event = c->event};
	int is, was;

	if (c->result < 0 || arg[3]->kind == EXPR_ELLIPSIS)
		return true;
	if (!option_value(r, &want, arg[3]))
		return false;
	if (!memcmp(c->value, want.value, want.value_len))
		return true;
	memcpy(&is, c->value, sizeof(is));
	memcpy(&was, want.value, sizeof(was));
	return run_fail(r, c->event, "the option's value is %d, expected %d", is, was);
}

static bool prepare_fcntl(struct run *r, struct call *c, const struct expr *const arg[])
{
	return call_fd(r, c, arg[0]) && call_int(r, c, arg[1], &c->arg[0]) &&
	       (!arg[2] || call_int(r, c, arg[2], &c->arg[1]));
}

static bool prepare_fcntl2(struct run *r, struct call *c, const struct expr *const arg[])
{
	const struct expr *const all[3] = {arg[0], arg[1], NULL};

	return prepare_fcntl(r, c, all);
}

static void invoke_fcntl(struct call *c)
{
	CALL_RESULT(c, c->ifc->fcntl(c->ifc->userdata, c->live, (int)c->arg[0], (int)c->arg[1]));
}

static bool prepare_ioctl(struct run *r, struct call *c, const struct expr *const arg[])
{
	return call_fd(r, c, arg[0]) && call_int(r, c, arg[1], &c->arg[0]);
}

static void invoke_ioctl(struct call *c)
{
	CALL_RESULT(c, c->ifc->ioctl(c->ifc->userdata, c->live, (unsigned long)c->arg[0],
	                             (int *)c->value));
}

static bool finish_ioctl(struct run *r, struct call *c, const struct expr *const arg[])
{
	s64 want;
	int is;

	memcpy(&is, c->value, sizeof(is));
	if (c->result < 0)
		return true;
	if (!call_int(r, c, arg[2], &want))
		return false;
	return is == want ||
	       run_fail(r, c->event, "ioctl() wrote %d, expected %lld", is, (long long)want);
}

/* -- readiness --------------------------------------------------------------------------------- */

/* [{fd=4, events=POLLIN, revents=POLLIN}] */
static bool prepare_poll(struct run *r, struct call *c, const struct expr *const arg[])
{
	for (const struct expr *s = arg[0]->child; s; s = s->next) {
		const struct expr *fd = call_member(s, "fd"), *events = call_member(s, "events");
		struct script_fd *known = fd ? run_fd(r, (s32)fd->value) : NULL;

		if (!fd || !events || c->n_iov == POLL_MAX)
			return run_fail(r, c->event,
			                "write what is polled as [{fd=4, events=POLLIN, "
			                "revents=POLLIN}]");
		c->polls[c->n_iov++] = (struct pollfd){.fd = known ? known->live : -2,
		                                       .events = (short)events->value};
	}
	return call_int(r, c, arg[2], &c->arg[0]);
}

static void invoke_poll(struct call *c)
{
	CALL_RESULT(c, c->ifc->poll(c->ifc->userdata, c->polls, c->n_iov, (int)c->arg[0]));
}

static bool finish_poll(struct run *r, struct call *c, const struct expr *const arg[])
{
	u32 i = 0;

	for (const struct expr *s = arg[0]->child; s; s = s->next, i++) {
		const struct expr *want = call_member(s, "revents");

		if (want && want->kind == EXPR_INT && want->value != c->polls[i].revents)
			return run_fail(r, c->event, "revents is 0x%x, expected 0x%llx",
			                (unsigned)c->polls[i].revents,
			                (unsigned long long)want->value);
	}
	return true;
}

static bool prepare_epoll_create(struct run *r, struct call *c, const struct expr *const arg[])
{
	return call_int(r, c, arg[0], &c->arg[0]);
}

static void invoke_epoll_create(struct call *c)
{
	CALL_RESULT(c, c->ifc->epoll_create(c->ifc->userdata, (int)c->arg[0]));
}

/* epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLIN, fd=4}) */
static bool prepare_epoll_ctl(struct run *r, struct call *c, const struct expr *const arg[])
{
	const struct expr *events = call_member(arg[3], "events");
	struct script_fd *fd;
	s64 n;

	if (!call_fd(r, c, arg[0]) || !call_int(r, c, arg[1], &c->arg[0]) ||
	    !call_int(r, c, arg[2], &n))
		return false;
	fd = run_fd(r, (s32)n);
	c->arg[1] = fd ? fd->live : -1;
	c->events[0].events = events ? (u32)events->value : 0;
	c->events[0].data.fd = (int)n;
	return true;
}

static void invoke_epoll_ctl(struct call *c)
{
	CALL_RESULT(c, c->ifc->epoll_ctl(c->ifc->userdata, c->live, (int)c->arg[0], (int)c->arg[1],
	                                 c->events));
}

/* epoll_wait(5, {events=EPOLLIN, fd=4}, 1, 0) */
static bool prepare_epoll_wait(struct run *r, struct call *c, const struct expr *const arg[])
{
	return call_fd(r, c, arg[0]) && call_int(r, c, arg[2], &c->arg[0]) &&
	       call_int(r, c, arg[3], &c->arg[1]);
}

static void invoke_epoll_wait(struct call *c)
{
	CALL_RESULT(c, c->ifc->epoll_wait(c->ifc->userdata, c->live, c->events,
	                                  (int)min_of(c->arg[0], (s64)POLL_MAX), (int)c->arg[1]));
}

static bool finish_epoll_wait(struct run *r, struct call *c, const struct expr *const arg[])
{
	const struct expr *e = arg[1]->kind == EXPR_LIST ? arg[1]->child : arg[1];

	for (s64 i = 0; i < c->result && e; i++, e = e->next) {
		const struct expr *events = call_member(e, "events"), *fd = call_member(e, "fd");

		if (events && (u32)events->value != c->events[i].events)
			return run_fail(r, c->event, "events are 0x%x, expected 0x%x",
			                c->events[i].events, (u32)events->value);
		if (fd && fd->value != c->events[i].data.fd)
			return run_fail(r, c->event, "the event is of descriptor %d, expected %lld",
			                c->events[i].data.fd, (long long)fd->value);
	}
	return true;
}

/* -- pipes ------------------------------------------------------------------------------------- */

static bool prepare_pipe(struct run *r, struct call *c, const struct expr *const arg[])
{
	return true;
}

static void invoke_pipe(struct call *c)
{
	CALL_RESULT(c, c->ifc->pipe(c->ifc->userdata, c->fds));
}

static bool finish_pipe(struct run *r, struct call *c, const struct expr *const arg[])
{
	const struct expr *e = arg[0]->child;

	if (c->result < 0)
		return true;
	for (u32 i = 0; i < 2; i++, e = e->next) {
		u32 at = 0;

		if (!e || e->kind != EXPR_INT)
			return run_fail(r, c->event, "write a pipe as pipe([5, 6])");
		while (at < FDS_MAX && r->fds[at].script >= 0)
			at++;
		if (at == FDS_MAX)
			return run_fail(r, c->event, "too many descriptors are open");
		r->fds[at] = (struct script_fd){.script = (s32)e->value, .live = c->fds[i]};
	}
	return true;
}

/* splice(4, NULL, 6, NULL, 1000, 0) */
static bool prepare_splice(struct run *r, struct call *c, const struct expr *const arg[])
{
	struct script_fd *to;
	s64 out;

	if (!call_fd(r, c, arg[0]) || !call_int(r, c, arg[2], &out) ||
	    !call_int(r, c, arg[4], &c->arg[1]))
		return false;
	to = run_fd(r, (s32)out);
	c->arg[0] = to ? to->live : -1;
	r->spliced = true;
	return true;
}

static void invoke_splice(struct call *c)
{
	CALL_RESULT(c, c->ifc->splice(c->ifc->userdata, c->live, NULL, (int)c->arg[0], NULL,
	                              (size_t)c->arg[1], 0));
}

static const struct call_type types[] = {
	{"setsockopt", 5, prepare_setsockopt, invoke_setsockopt, NULL, false},
	{"getsockopt", 5, prepare_getsockopt, invoke_getsockopt, finish_getsockopt, false},
	{"fcntl", 3, prepare_fcntl, invoke_fcntl, NULL, false},
	{"fcntl", 2, prepare_fcntl2, invoke_fcntl, NULL, false},
	{"ioctl", 3, prepare_ioctl, invoke_ioctl, finish_ioctl, false},
	{"poll", 3, prepare_poll, invoke_poll, finish_poll, false},
	{"epoll_create", 1, prepare_epoll_create, invoke_epoll_create, NULL, true},
	{"epoll_ctl", 4, prepare_epoll_ctl, invoke_epoll_ctl, NULL, false},
	{"epoll_wait", 4, prepare_epoll_wait, invoke_epoll_wait, finish_epoll_wait, false},
	{"pipe", 1, prepare_pipe, invoke_pipe, finish_pipe, false},
	{"splice", 6, prepare_splice, invoke_splice, NULL, false},
};

const struct call_type *call_option_find(const char *name, u32 n_args)
{
	const struct call_type *found = NULL;

	for (u32 i = 0; i < ARRAY_SIZE(types); i++) {
		if (!strcmp(types[i].name, name) && (!found || types[i].n_args == n_args))
			found = &types[i];
	}
	return found;
}
