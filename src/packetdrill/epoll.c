/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* epoll over our sockets, and the pipes that splice() needs. */
#include <errno.h>
#include <stdlib.h>

#include "packetdrill/socket.h"

enum { PIPE_BYTES = 65536 };

int sock_epoll_create(struct sockets *t, int size)
{
	struct sock *s;

	if (size <= 0)
		return -EINVAL;
	s = sock_new(t, SOCK_EPOLL);
	return s ? s->fd : -EMFILE;
}

static struct sock_watch **find_watch(struct sock *ep, int fd)
{
	struct sock_watch **at = &ep->watches;

	while (*at && (*at)->fd != fd)
		at = &(*at)->next;
	return at;
}

static void set_watch(struct sock_watch *w, int fd, const struct epoll_event *event)
{
	w->fd = fd;
	w->event = *event;
	w->disarmed = false;
	w->said = 0;
	w->generation = UINT32_MAX;
}

int sock_epoll_ctl(struct sockets *t, struct sock *ep, int op, int fd, struct epoll_event *event)
{
	struct sock *s = sock_find(t, fd);
	struct sock_watch **at, *w;

	if (!s)
		return -EBADF;
	if (ep->kind != SOCK_EPOLL || s == ep)
		return -EINVAL;
	at = find_watch(ep, fd);
	w = *at;
	switch (op) {
	case EPOLL_CTL_ADD:
		if (w)
			return -EEXIST;
		w = calloc(1, sizeof(*w));
		if (!w)
			return -ENOMEM;
		*at = w;
		set_watch(w, fd, event);
		return 0;
	case EPOLL_CTL_MOD:
		if (!w)
			return -ENOENT;
		set_watch(w, fd, event);
		return 0;
	case EPOLL_CTL_DEL:
		if (!w)
			return -ENOENT;
		*at = w->next;
		free(w);
		return 0;
	default:
		return -EINVAL;
	}
}

/* Edge triggered: said once, and again after something arrived or room was made. */
static u32 ready(struct sockets *t, struct sock_watch *w)
{
	struct sock *s = sock_find(t, w->fd);
	u32 now = s ? sock_poll(t, s) & (w->event.events | EPOLLERR | EPOLLHUP) : 0;

	if (w->disarmed || !(w->event.events & EPOLLET))
		return w->disarmed ? 0 : now;
	if (s && s->generation == w->generation)
		now &= ~w->said;
	return now;
}

int sock_epoll_wait(struct sockets *t, struct sock *ep, struct epoll_event *events, int max)
{
	int n = 0;

	if (ep->kind != SOCK_EPOLL || max <= 0)
		return -EINVAL;
	for (struct sock_watch *w = ep->watches; w && n < max; w = w->next) {
		u32 now = ready(t, w);

		if (!now)
			continue;
		w->said = now;
		w->generation = sock_find(t, w->fd)->generation;
		w->disarmed = w->event.events & EPOLLONESHOT;
		events[n++] = (struct epoll_event){.events = now, .data = w->event.data};
	}
	return n;
}

/* A descriptor that is closed leaves every epoll; an epoll that is closed leaves its watches. */
void sock_epoll_forget(struct sockets *t, struct sock *s)
{
	while (s->watches) {
		struct sock_watch *w = s->watches;

		s->watches = w->next;
		free(w);
	}
	for (struct sock *ep = t->list; ep; ep = ep->next) {
		struct sock_watch **at = find_watch(ep, s->fd), *w = *at;

		if (!w || s->fd < 0)
			continue;
		*at = w->next;
		free(w);
	}
}

int sock_pipe_create(struct sockets *t, int fds[2])
{
	struct sock_pipe *p = calloc(1, sizeof(*p));
	struct sock *in, *out;

	if (!p || !(p->bytes = malloc(PIPE_BYTES))) {
		free(p);
		return -ENOMEM;
	}
	p->cap = PIPE_BYTES;
	in = sock_new(t, SOCK_PIPE);
	out = in ? sock_new(t, SOCK_PIPE) : NULL;
	if (!out) {
		if (in)
			sock_close(t, in);
		free(p->bytes);
		free(p);
		return -EMFILE;
	}
	p->ends = 2;
	in->pipe = out->pipe = p;
	out->pipe_write = true;
	fds[0] = in->fd;
	fds[1] = out->fd;
	return 0;
}
