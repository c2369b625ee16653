/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The system calls that a script may make: arguments in, the call, values out. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "packetdrill/run.h"

enum { BYTES_MAX = 16 << 20 };

/* -- arguments --------------------------------------------------------------------------------- */

bool call_int(struct run *r, struct call *c, const struct expr *e, s64 *ret)
{
	*ret = 0;
	if (e->kind == EXPR_LIST && e->child && !e->child->next)
		e = e->child;
	if (e->kind != EXPR_INT)
		return run_fail(r, c->event, "an argument of %s() must be a number",
		                c->event->text);
	*ret = e->value;
	return true;
}

bool call_fd(struct run *r, struct call *c, const struct expr *e)
{
	s64 n;

	if (!call_int(r, c, e, &n))
		return false;
	c->fd = run_fd(r, (s32)n);
	c->live = c->fd ? c->fd->live : -1;
	return true;
}

const struct expr *call_member(const struct expr *e, const char *name)
{
	for (const struct expr *m = e->child; m; m = m->next) {
		if (m->kind == EXPR_NAMED && !strcmp(m->text, name))
			return m->child;
	}
	return NULL;
}

static bool get_buffer(struct run *r, struct call *c, size_t n)
{
	if (n > BYTES_MAX)
		return run_fail(r, c->event, "%zu bytes are more than a script may use", n);
	c->bytes = calloc(1, n ? n : 1);
	return c->bytes || run_fail(r, c->event, "out of memory");
}

static bool one_iov(struct run *r, struct call *c, const struct expr *e)
{
	s64 n;

	if (!call_int(r, c, e, &n) || !get_buffer(r, c, (size_t)n))
		return false;
	c->iov[0] = (struct iovec){c->bytes, (size_t)n};
	c->n_iov = 1;
	return true;
}

/* [{..., 1000}, {..., 20}] */
static bool many_iov(struct run *r, struct call *c, const struct expr *e)
{
	size_t total = 0;
	u8 *at;

	for (const struct expr *s = e ? e->child : NULL; s; s = s->next) {
		const struct expr *len = s->child ? s->child->next : NULL;

		if (!len || len->kind != EXPR_INT || c->n_iov == IOV_MAX_OURS)
			return run_fail(r, c->event, "write a vector as [{..., 1000}, {..., 20}]");
		c->iov[c->n_iov++].iov_len = (size_t)len->value;
		total += (size_t)len->value;
	}
	if (!get_buffer(r, c, total))
		return false;
	at = c->bytes;
	for (u32 i = 0; i < c->n_iov; i++) {
		c->iov[i].iov_base = at;
		at += c->iov[i].iov_len;
	}
	c->msg.msg_iovlen = c->n_iov;
	return true;
}

/* What a socket writes goes on with the pattern of its stream. */
static void fill_out(struct call *c)
{
	u32 at = c->fd ? c->fd->written : 0;

	for (u32 i = 0; i < c->n_iov; i++) {
		u8 *bytes = c->iov[i].iov_base;

		for (size_t k = 0; k < c->iov[i].iov_len; k++)
			bytes[k] = run_pattern(true, at++);
	}
}

static bool filled(struct call *c, bool ok)
{
	fill_out(c);
	return ok;
}

/* -- sockets ----------------------------------------------------------------------------------- */

static bool prepare_socket(struct run *r, struct call *c, const struct expr *const arg[])
{
	c->arg[0] = r->script->ip_version == 4 ? AF_INET : AF_INET6;
	if (arg[0]->kind != EXPR_ELLIPSIS && !call_int(r, c, arg[0], &c->arg[0]))
		return false;
	return call_int(r, c, arg[1], &c->arg[1]) && call_int(r, c, arg[2], &c->arg[2]);
}

static void invoke_socket(struct call *c)
{
	CALL_RESULT(c, c->ifc->socket(c->ifc->userdata, (int)c->arg[0], (int)c->arg[1],
	                              (int)c->arg[2]));
}

/* The connection's own address, or what {sa_family=, sin_port=, sin_addr=} says. */
static void set_addr(struct run *r, struct call *c, const struct expr *e, const u8 ip[16], u16 port)
{
	struct sockaddr_in a4 = {.sin_family = AF_INET};
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6};
	const struct expr *name = call_member(e, "sin_addr");

	if (call_member(e, "sin_port") && call_member(e, "sin_port")->kind == EXPR_INT)
		port = (u16)call_member(e, "sin_port")->value;
	a4.sin_port = a6.sin6_port = htons(port);
	memcpy(&a4.sin_addr, ip + 12, 4);
	memcpy(&a6.sin6_addr, ip, 16);
	if (name && name->kind == EXPR_STRING)
		inet_pton(AF_INET, name->text, &a4.sin_addr);
	name = call_member(e, "sin6_addr");
	if (name && name->kind == EXPR_STRING)
		inet_pton(AF_INET6, name->text, &a6.sin6_addr);
	c->addr_len = r->script->ip_version == 4 ? sizeof(a4) : sizeof(a6);
	memcpy(&c->addr, r->script->ip_version == 4 ? (void *)&a4 : (void *)&a6, c->addr_len);
}

static bool prepare_bind(struct run *r, struct call *c, const struct expr *const arg[])
{
	set_addr(r, c, arg[1], r->local, r->script->bind_port);
	return call_fd(r, c, arg[0]);
}

static void invoke_bind(struct call *c)
{
	CALL_RESULT(c, c->ifc->bind(c->ifc->userdata, c->live, (void *)&c->addr, c->addr_len));
}

static bool prepare_listen(struct run *r, struct call *c, const struct expr *const arg[])
{
	r->flow = NULL; /* what comes in next begins a connection */
	return call_fd(r, c, arg[0]) && call_int(r, c, arg[1], &c->arg[0]);
}

static void invoke_listen(struct call *c)
{
	CALL_RESULT(c, c->ifc->listen(c->ifc->userdata, c->live, (int)c->arg[0]));
}

static bool prepare_accept(struct run *r, struct call *c, const struct expr *const arg[])
{
	return call_fd(r, c, arg[0]);
}

static void invoke_accept(struct call *c)
{
	c->addr_len = sizeof(c->addr);
	CALL_RESULT(c, c->ifc->accept(c->ifc->userdata, c->live, (void *)&c->addr, &c->addr_len));
}

/* The peer's address must be that of a connection of the script. */
static bool finish_accept(struct run *r, struct call *c, const struct expr *const arg[])
{
	u16 port =
		ntohs(c->addr.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&c->addr)->sin6_port
	                                            : ((struct sockaddr_in *)&c->addr)->sin_port);

	if (c->result < 0)
		return true;
	r->last_fd = (s32)c->event->result->value;
	for (const struct flow *f = r->flows; f; f = f->next) {
		if (f->remote_port == port)
			return true;
	}
	return run_fail(r, c->event, "accept() names the peer's port %u, which is no connection's",
	                port);
}

static bool prepare_connect(struct run *r, struct call *c, const struct expr *const arg[])
{
	struct flow *f = calloc(1, sizeof(*f));
	bool opened = false;
	s64 fd;

	set_addr(r, c, arg[1], r->remote, r->script->connect_port);
	if (!f || !call_int(r, c, arg[0], &fd) || !call_fd(r, c, arg[0])) {
		free(f);
		return false;
	}
	opened = r->last_fd == (s32)fd && r->flow;
	r->last_fd = (s32)fd;
	/* A second connect() asks how the first one went. */
	if (opened || (c->event->errno_name && strcmp(c->event->errno_name, "EINPROGRESS"))) {
		free(f);
		return true;
	}
	f->remote_port =
		ntohs(r->script->ip_version == 4 ? ((struct sockaddr_in *)&c->addr)->sin_port
	                                         : ((struct sockaddr_in6 *)&c->addr)->sin6_port);
	f->next = r->flows;
	r->flows = r->flow = f;
	return true;
}

static void invoke_connect(struct call *c)
{
	CALL_RESULT(c, c->ifc->connect(c->ifc->userdata, c->live, (void *)&c->addr, c->addr_len));
}

static bool prepare_fd(struct run *r, struct call *c, const struct expr *const arg[])
{
	return call_fd(r, c, arg[0]);
}

static void invoke_close(struct call *c)
{
	CALL_RESULT(c, c->ifc->close(c->ifc->userdata, c->live));
}

static bool finish_close(struct run *r, struct call *c, const struct expr *const arg[])
{
	if (c->result == 0 && c->fd)
		c->fd->script = -1;
	return true;
}

static bool prepare_fd_int(struct run *r, struct call *c, const struct expr *const arg[])
{
	return call_fd(r, c, arg[0]) && call_int(r, c, arg[1], &c->arg[0]);
}

static void invoke_shutdown(struct call *c)
{
	CALL_RESULT(c, c->ifc->shutdown(c->ifc->userdata, c->live, (int)c->arg[0]));
}

/* -- reading ----------------------------------------------------------------------------------- */

static bool prepare_read(struct run *r, struct call *c, const struct expr *const arg[])
{
	return call_fd(r, c, arg[0]) && one_iov(r, c, arg[2]);
}

static void invoke_read(struct call *c)
{
	CALL_RESULT(c, c->ifc->read(c->ifc->userdata, c->live, c->bytes, c->iov[0].iov_len));
}

static bool prepare_recv(struct run *r, struct call *c, const struct expr *const arg[])
{
	return prepare_read(r, c, arg) && call_int(r, c, arg[3], &c->arg[0]);
}

static void invoke_recv(struct call *c)
{
	CALL_RESULT(c, c->ifc->recv(c->ifc->userdata, c->live, c->bytes, c->iov[0].iov_len,
	                            (int)c->arg[0]));
}

static void invoke_recvfrom(struct call *c)
{
	c->addr_len = sizeof(c->addr);
	CALL_RESULT(c, c->ifc->recvfrom(c->ifc->userdata, c->live, c->bytes, c->iov[0].iov_len,
	                                (int)c->arg[0], (void *)&c->addr, &c->addr_len));
}

static bool prepare_readv(struct run *r, struct call *c, const struct expr *const arg[])
{
	return call_fd(r, c, arg[0]) && many_iov(r, c, arg[1]);
}

static void invoke_readv(struct call *c)
{
	CALL_RESULT(c, c->ifc->readv(c->ifc->userdata, c->live, c->iov, (int)c->n_iov));
}

static bool prepare_recvmsg(struct run *r, struct call *c, const struct expr *const arg[])
{
	return call_fd(r, c, arg[0]) && many_iov(r, c, call_member(arg[1], "msg_iov")) &&
	       call_int(r, c, arg[2], &c->arg[0]);
}

static void invoke_recvmsg(struct call *c)
{
	CALL_RESULT(c, c->ifc->recvmsg(c->ifc->userdata, c->live, &c->msg, (int)c->arg[0]));
}

static bool finish_read(struct run *r, struct call *c, const struct expr *const arg[])
{
	for (s64 i = 0; i < c->result && c->fd && !r->spliced; i++) {
		if (c->bytes[i] != run_pattern(false, c->fd->read + (u32)i))
			return run_fail(r, c->event,
			                "byte %lld of what was read is not what came in",
			                (long long)i);
	}
	if (c->result > 0 && c->fd && !(c->arg[0] & MSG_PEEK))
		c->fd->read += (u32)c->result;
	return true;
}

/* -- writing ----------------------------------------------------------------------------------- */

static bool prepare_write(struct run *r, struct call *c, const struct expr *const arg[])
{
	return filled(c, call_fd(r, c, arg[0]) && one_iov(r, c, arg[2]));
}

static void invoke_write(struct call *c)
{
	CALL_RESULT(c, c->ifc->write(c->ifc->userdata, c->live, c->bytes, c->iov[0].iov_len));
}

static bool prepare_send(struct run *r, struct call *c, const struct expr *const arg[])
{
	return prepare_write(r, c, arg) && call_int(r, c, arg[3], &c->arg[0]);
}

static void invoke_send(struct call *c)
{
	CALL_RESULT(c, c->ifc->send(c->ifc->userdata, c->live, c->bytes, c->iov[0].iov_len,
	                            (int)c->arg[0]));
}

static void invoke_sendto(struct call *c)
{
	CALL_RESULT(c, c->ifc->sendto(c->ifc->userdata, c->live, c->bytes, c->iov[0].iov_len,
	                              (int)c->arg[0], NULL, 0));
}

static bool prepare_writev(struct run *r, struct call *c, const struct expr *const arg[])
{
	return filled(c, call_fd(r, c, arg[0]) && many_iov(r, c, arg[1]));
}

static void invoke_writev(struct call *c)
{
	CALL_RESULT(c, c->ifc->writev(c->ifc->userdata, c->live, c->iov, (int)c->n_iov));
}

static bool prepare_sendmsg(struct run *r, struct call *c, const struct expr *const arg[])
{
	return filled(c, call_fd(r, c, arg[0]) && many_iov(r, c, call_member(arg[1], "msg_iov")) &&
	                         call_int(r, c, arg[2], &c->arg[0]));
}

static void invoke_sendmsg(struct call *c)
{
	CALL_RESULT(c, c->ifc->sendmsg(c->ifc->userdata, c->live, &c->msg, (int)c->arg[0]));
}

static bool finish_write(struct run *r, struct call *c, const struct expr *const arg[])
{
	if (c->result > 0 && c->fd)
		c->fd->written += (u32)c->result;
	return true;
}

static const struct call_type types[] = {
	{"socket", 3, prepare_socket, invoke_socket, NULL, true},
	{"bind", 3, prepare_bind, invoke_bind, NULL, false},
	{"listen", 2, prepare_listen, invoke_listen, NULL, false},
	{"accept", 3, prepare_accept, invoke_accept, finish_accept, true},
	{"connect", 3, prepare_connect, invoke_connect, NULL, false},
	{"close", 1, prepare_fd, invoke_close, finish_close, false},
	{"shutdown", 2, prepare_fd_int, invoke_shutdown, NULL, false},
	{"read", 3, prepare_read, invoke_read, finish_read, false},
	{"recv", 4, prepare_recv, invoke_recv, finish_read, false},
	{"recvfrom", 6, prepare_recv, invoke_recvfrom, finish_read, false},
	{"readv", 3, prepare_readv, invoke_readv, finish_read, false},
	{"recvmsg", 3, prepare_recvmsg, invoke_recvmsg, finish_read, false},
	{"write", 3, prepare_write, invoke_write, finish_write, false},
	{"send", 4, prepare_send, invoke_send, finish_write, false},
	{"sendto", 6, prepare_send, invoke_sendto, finish_write, false},
	{"writev", 3, prepare_writev, invoke_writev, finish_write, false},
	{"sendmsg", 3, prepare_sendmsg, invoke_sendmsg, finish_write, false},
};

const struct call_type *call_type_find(const char *name, u32 n_args)
{
	for (u32 i = 0; i < ARRAY_SIZE(types); i++) {
		if (!strcmp(types[i].name, name))
			return &types[i];
	}
	return call_option_find(name, n_args);
}
