/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Sockets: bytes in and out, readiness. */
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "packetdrill/socket.h"

enum { STASH_STEP = 65536 };

/* -- reading ----------------------------------------------------------------------------------- */

void sock_stash(struct sockets *t, struct sock *s)
{
	struct recv_call call = {.conn = s->host};

	do {
		u8 *stash = realloc(s->stash, s->stash_n + STASH_STEP);

		if (!stash)
			return;
		s->stash = stash;
		call.data = stash + s->stash_n;
		call.len = STASH_STEP;
		host_receive(t->stack.machine->host, &call, 1);
		s->stash_n += call.taken > 0 ? (u32)call.taken : 0;
	} while (call.taken > 0);
}

static s64 read_stash(struct sock *s, void *to, u32 n, int flags)
{
	u32 done = min_of(n, s->stash_n - s->stash_at);

	memcpy(to, s->stash + s->stash_at, done);
	if (!(flags & MSG_PEEK))
		s->stash_at += done;
	return done;
}

static s64 read_some(struct sockets *t, struct sock *s, void *to, u32 n, int flags)
{
	struct recv_call call = {
		.conn = s->host, .data = to, .len = n, .flags = flags & MSG_PEEK ? RECV_PEEK : 0};

	if (s->stash_at < s->stash_n)
		return read_stash(s, to, n, flags);
	host_receive(t->stack.machine->host, &call, 1);
	return call.taken;
}

/* What a call answers when there are no bytes: the error once, then the end. */
static s64 nothing_to_read(struct sock *s)
{
	s64 err = -s->error;

	s->error = 0;
	if (err)
		return err;
	return s->dead || s->eof || s->rd_shut ? 0 : -EAGAIN;
}

s64 sock_read(struct sockets *t, struct sock *s, const struct iovec *iov, u32 n, int flags)
{
	s64 done = 0, taken = 0;

	if (s->kind != SOCK_CONN)
		return -ENOTCONN;
	if (!s->established && !s->dead)
		return -ENOTCONN;
	if (flags & MSG_OOB)
		return -EINVAL;
	for (u32 i = 0; i < n && s->established; i++) {
		taken = iov[i].iov_len
		                ? read_some(t, s, iov[i].iov_base, (u32)iov[i].iov_len, flags)
		                : 0;
		done += max_of(taken, (s64)0);
		if (taken < (s64)iov[i].iov_len)
			break;
	}
	if (taken == -ESHUTDOWN)
		s->eof = true;
	if (done > 0)
		stack_turn(&t->stack); /* the window may have opened */
	return done ? done : nothing_to_read(s);
}

/* -- writing ----------------------------------------------------------------------------------- */

/* MSG_MORE holds a segment that is not full back, as TCP_CORK does. */
static void set_more(struct sockets *t, struct sock *s, bool more)
{
	struct tcp_cached settings = s->settings;

	if (s->more == more)
		return;
	s->more = more;
	settings.cork |= more;
	stack_settings(&t->stack, s->soft, s->host, &settings);
}

static s64 may_write(struct sock *s)
{
	s64 err = -s->error;

	if (s->kind != SOCK_CONN)
		return -EPIPE;
	s->error = 0;
	if (err)
		return err;
	if (s->dead || s->wr_shut)
		return -EPIPE;
	return s->established ? 0 : -EAGAIN;
}

s64 sock_write(struct sockets *t, struct sock *s, const struct iovec *iov, u32 n, int flags)
{
	s64 err = may_write(s), done = 0;
	bool asked = false;

	if (err)
		return err;
	if (flags & (MSG_OOB | MSG_FASTOPEN | MSG_ZEROCOPY))
		return -EOPNOTSUPP;
	set_more(t, s, flags & MSG_MORE);
	for (u32 i = 0; i < n; i++) {
		struct send_call call = {
			.conn = s->host, .data = iov[i].iov_base, .len = (u32)iov[i].iov_len};

		if (!call.len)
			continue;
		asked = true;
		host_send(t->stack.machine->host, &call, 1);
		if (call.taken < 0)
			err = call.taken;
		else
			done += call.taken;
		if (call.taken < (s64)iov[i].iov_len)
			break;
	}
	stack_turn(&t->stack);
	if (done || err)
		return done ? done : err;
	return asked ? -EAGAIN : 0;
}

/* -- readiness --------------------------------------------------------------------------------- */

static u32 poll_conn(struct sockets *t, struct sock *s)
{
	struct tcp_state state;
	u32 ready = s->error ? POLLERR : 0;
	bool here;

	if (s->dead)
		return ready | POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLHUP | POLLRDHUP;
	if (!s->established)
		return ready;
	here = stack_look(&t->stack, s->soft, s->host, &state);
	if (!here)
		memset(&state, 0, sizeof(state));
	if (state.d.recv.len || s->eof || s->rd_shut || state.d.fin & TCP_FIN_RECEIVED)
		ready |= POLLIN | POLLRDNORM;
	if (s->peer_fin || s->rd_shut || state.d.fin & TCP_FIN_RECEIVED)
		ready |= POLLRDHUP;
	/* As Linux: a third of the buffer must be free. */
	if (s->wr_shut || state.d.send.len < s->settings.snd_buf_bytes / 3 * 2)
		ready |= POLLOUT | POLLWRNORM;
	if (s->wr_shut && (ready & POLLRDHUP))
		ready |= POLLHUP;
	return ready;
}

static u32 poll_pipe(const struct sock *s)
{
	if (s->pipe_write)
		return s->pipe->n < s->pipe->cap ? POLLOUT | POLLWRNORM : 0;
	return (s->pipe->n ? POLLIN | POLLRDNORM : 0) | (s->pipe->ends < 2 ? POLLHUP : 0);
}

u32 sock_poll(struct sockets *t, struct sock *s)
{
	switch (s->kind) {
	case SOCK_LISTEN:
		return s->accept_next ? POLLIN | POLLRDNORM : 0;
	case SOCK_CONN:
		return poll_conn(t, s);
	case SOCK_PIPE:
		return poll_pipe(s);
	case SOCK_EPOLL:
		return 0;
	default:
		return POLLOUT | POLLHUP;
	}
}

int sock_ioctl(struct sockets *t, struct sock *s, unsigned long request, int *arg)
{
	struct tcp_state state;

	if (request != SIOCINQ && request != SIOCOUTQ && request != SIOCOUTQNSD)
		return -ENOTTY;
	if (s->kind != SOCK_CONN)
		return -EINVAL;
	if (!stack_look(&t->stack, s->soft, s->host, &state))
		memset(&state, 0, sizeof(state));
	if (request == SIOCINQ)
		*arg = (int)state.d.recv.len;
	else if (request == SIOCOUTQ)
		*arg = (int)state.d.send.len;
	else
		*arg = (int)state.d.send.len - (int)seq_diff(state.d.snd_nxt, state.d.snd_una);
	return 0;
}

/* -- splice ------------------------------------------------------------------------------------ */

static int splice_in(struct sockets *t, struct sock *in, struct sock_pipe *p, u32 len)
{
	const struct iovec iov = {p->bytes + p->n, min_of(len, p->cap - p->n)};
	s64 n = iov.iov_len ? sock_read(t, in, &iov, 1, 0) : -EAGAIN;

	if (n > 0)
		p->n += (u32)n;
	return (int)n;
}

static int splice_out(struct sockets *t, struct sock_pipe *p, struct sock *out, u32 len)
{
	const struct iovec iov = {p->bytes, min_of(len, p->n)};
	s64 n = iov.iov_len ? sock_write(t, out, &iov, 1, 0) : -EAGAIN;

	if (n > 0) {
		p->n -= (u32)n;
		memmove(p->bytes, p->bytes + n, p->n);
	}
	return (int)n;
}

int sock_splice(struct sockets *t, struct sock *in, struct sock *out, size_t len)
{
	u32 n = (u32)min_of(len, (size_t)INT32_MAX);

	if (in->kind == SOCK_CONN && out->kind == SOCK_PIPE && out->pipe_write)
		return splice_in(t, in, out->pipe, n);
	if (in->kind == SOCK_PIPE && !in->pipe_write && out->kind == SOCK_CONN)
		return splice_out(t, in->pipe, out, n);
	return -EINVAL;
}
