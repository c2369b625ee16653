// SPDX-License-Identifier: BSD-2-Clause-Patent
/* Our engine as the subject: no port of its own, the wire is one. */
#include "lab_internal.h"

#include "port/gather.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { TX = 64, WORK_BYTES = 1 << 16 };

static struct tcp_cached settings(const struct lab *l)
{
	return (struct tcp_cached){
		.nodelay = 1,
		.rcv_buf_bytes = LAB_RCV_BUF,
		.snd_buf_bytes = LAB_SND_BUF,
		.max_retransmit_ns = 924 * NS_PER_S,
		.fin_wait2_ns = 60 * NS_PER_S,
		.hop_limit = 64,
		.cc_algorithm = l->config->cc,
	};
}

int lab_ours_open(struct lab *l)
{
	struct lab_ours *o = &l->ours;
	struct tcp_engine_config config = {
		.max_connections = LAB_CONNS_MAX,
		.max_paths = 1,
		.max_neighbors = 1,
		.seed = l->config->seed,
	};
	struct neighbor_state neighbor = {.k.source_mac = lab_mac[LAB_SUBJECT],
	                                  .c.next_hop_mac = lab_mac[LAB_PEER]};
	struct path_state path = {.k.local_addr = lab_addr[LAB_SUBJECT],
	                          .k.remote_addr = lab_addr[LAB_PEER],
	                          .c.path_mtu = 1500};

	o->arena_bytes = tcp_engine_arena_bytes(&config);
	o->arena = mmap(NULL, o->arena_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	                -1, 0);
	o->e = aligned_alloc(64, (tcp_engine_bytes() + 63) & ~(size_t)63);
	if (o->arena == MAP_FAILED || !o->e)
		return lab_fail(l, -ENOMEM, "no memory for an engine");
	tcp_engine_init(o->e, o->arena, &config, &l->pool[LAB_SUBJECT]);
	if (tcp_neighbor_add(o->e, &neighbor, &o->neighbor) ||
	    tcp_path_add(o->e, &path, o->neighbor, &o->path))
		return lab_fail(l, -ENOSPC, "the engine takes no path");
	return 0;
}

void lab_ours_close(struct lab *l)
{
	free(l->ours.e);
	if (l->ours.arena)
		munmap(l->ours.arena, l->ours.arena_bytes);
}

int lab_ours_start(struct lab *l)
{
	struct lab_ours *o = &l->ours;

	tcp_timers(o->e, l->now_ns);
	for (u32 i = 0; i < l->config->conns; i++) {
		struct tcp_open_params p = {
			.path = o->path,
			.local_port = (u16)(LAB_FIRST_PORT + i),
			.remote_port = LAB_PORT,
			.options = TCP_OPT_TIMESTAMPS | TCP_OPT_SACK | TCP_OPT_WSCALE,
			.rcv_wscale = 7,
			.mss = 1460,
			.settings = settings(l),
		};
		int err = tcp_open(o->e, &p, l->now_ns, &o->conn[i]);

		if (err)
			return lab_fail(l, err, "the engine opens no connection");
	}
	return 0;
}

void lab_ours_input(struct lab *l, struct rx_frame *frames, u32 n)
{
	tcp_input(l->ours.e, frames, n, l->now_ns);
	for (u32 i = 0; i < n; i++)
		if (frames[i].verdict != FRAME_CONSUMED)
			buf_put_chain(&l->pool[LAB_SUBJECT], frames[i].buf);
}

static int send_some(struct lab *l, u32 i)
{
	struct lab_ours *o = &l->ours;
	struct lab_stream *s = &l->stream[i];
	s64 n = 1;

	if (!(o->events[i] & TCP_EV_ESTABLISHED))
		return 0;
	while (n > 0) {
		u32 len = (u32)min_of(lab_to_send(l, i), (u64)WORK_BYTES);
		const u8 *bytes = lab_bytes(s->sent, &len);

		n = len ? tcp_send(o->e, o->conn[i], bytes, len) : 0;
		if (n < 0)
			return lab_fail(l, (int)n, "the engine does not send: %s",
			                strerror((int)-n));
		s->sent += (u64)n;
	}
	if (l->config->bytes && s->sent == l->config->bytes && !s->fin_sent) {
		tcp_shutdown(o->e, o->conn[i]);
		s->fin_sent = true;
	}
	return 0;
}

static void receive_some(struct lab *l, u32 i)
{
	static u8 bytes[WORK_BYTES];
	struct lab_ours *o = &l->ours;
	s64 n;

	while (!l->stream[i].fin_got &&
	       (n = tcp_recv(o->e, o->conn[i], bytes, sizeof(bytes))) != 0) {
		lab_received(l, i, bytes, n > 0 ? n : -1);
		if (n < 0)
			tcp_shutdown(o->e, o->conn[i]);
	}
}

static void flush(struct lab *l)
{
	struct port *port = l->port[LAB_SUBJECT];
	static struct tx_frame frames[TX];
	struct tx_batch tx = {frames, 0, TX};
	static u8 bytes[2048];
	bool more = true;

	while (more) {
		tx.n = 0;
		more = tcp_flush(l->ours.e, l->now_ns, &tx);
		for (u32 i = 0; i < tx.n; i++)
			lab_watch_subject(l, bytes,
			                  frame_gather(&l->pool[LAB_SUBJECT], &frames[i], bytes));
		(void)port->ops->transmit(port, frames, tx.n);
	}
}

int lab_ours_work(struct lab *l)
{
	struct lab_ours *o = &l->ours;
	struct tcp_event ev[LAB_CONNS_MAX];
	u32 n;

	tcp_timers(o->e, l->now_ns);
	n = tcp_events(o->e, ev, LAB_CONNS_MAX);
	for (u32 i = 0; i < n; i++)
		for (u32 k = 0; k < l->config->conns; k++)
			if (o->conn[k] == ev[i].conn)
				o->events[k] |= ev[i].events;
	for (u32 i = 0; i < l->config->conns; i++) {
		int err = 0;

		if (o->events[i] & (TCP_EV_RESET | TCP_EV_TIMEOUT))
			return lab_fail(l, -ECONNRESET, "the engine's connection %u has ended", i);
		if (l->config->subject_sends)
			err = send_some(l, i);
		else if (o->events[i] & TCP_EV_ESTABLISHED)
			receive_some(l, i);
		if (err)
			return err;
	}
	flush(l);
	return 0;
}
