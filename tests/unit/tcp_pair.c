/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "tcp_pair.h"

#include <stdlib.h>
#include <sys/mman.h>

enum {
	TX_CAP = 64,
	CHUNK = 16384,
	CLIENT_PORT = 40000,
	SERVER_PORT = 80,
};

/* Not malloc(): what is not touched costs nothing. */
static void *map(size_t bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		abort();
	return mem;
}

static struct ip_addr addr_of(const struct pair *p, u32 end)
{
	struct ip_addr a = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, (u8)(1 + end)}};

	if (p->o.v6) {
		a.b[0] = 0xfd;
		a.b[10] = a.b[11] = 0;
	}
	return a;
}

static void init_end(struct pair *p, u32 end)
{
	struct pair_end *n = &p->end[end];
	struct neighbor_state neighbor = {
		.k.source_mac = {{2, 0, 0, 0, 0, (u8)end}},
		.c.next_hop_mac = {{2, 0, 0, 0, 0, (u8)!end}},
		.c.header_format = p->o.snap ? LINK_SNAP : LINK_DIX,
		.k.vlans = {p->o.vlans, {0x88a8000a, 0x81000014}},
	};
	struct path_state path = {
		.k.local_addr = addr_of(p, end),
		.k.remote_addr = addr_of(p, !end),
		.c.path_mtu = p->o.mtu,
	};

	n->pool_config = (struct buf_pool_config){p->o.small, p->o.large};
	n->pool_mem = map(buf_pool_bytes(&n->pool_config));
	buf_pool_init(&n->pool, n->pool_mem, &n->pool_config);
	n->config = (struct tcp_engine_config){
		.max_connections = PAIR_CONNS_MAX,
		.max_paths = 8,
		.max_neighbors = 8,
		.seed = p->o.seed + end,
		.ports[0] = {p->o.gso_max_bytes, p->o.tx_csum, false},
	};
	n->arena = aligned_alloc(4096, tcp_engine_arena_bytes(&n->config));
	memset(n->arena, 0xa5, tcp_engine_arena_bytes(&n->config));
	n->e = aligned_alloc(64, (tcp_engine_bytes() + 63) & ~(size_t)63);
	tcp_engine_init(n->e, n->arena, &n->config, &n->pool);
	tcp_timers(n->e, p->now_ns);
	if (tcp_neighbor_add(n->e, &neighbor, &n->neighbor) ||
	    tcp_path_add(n->e, &path, n->neighbor, &n->path))
		abort();
	for (u32 i = 0; i < PAIR_CONNS_MAX; i++)
		n->conn[i] = NIL;
}

void pair_init(struct pair *p, const struct pair_options *o)
{
	memset(p, 0, sizeof(*p));
	p->o = *o;
	p->o.mtu = o->mtu ? o->mtu : 1500;
	p->o.rcv_buf = o->rcv_buf ? o->rcv_buf : 256 * 1024;
	p->o.snd_buf = o->snd_buf ? o->snd_buf : 256 * 1024;
	p->o.small = o->small ? o->small : 4096;
	p->o.large = o->large ? o->large : 128;
	p->now_ns = o->start_ns ? o->start_ns : 1000 * NS_PER_S;
	prng_seed(&p->prng, o->seed);
	init_end(p, 0);
	init_end(p, 1);
}

void pair_finish(struct pair *p)
{
	for (u32 i = 0; i < p->n_wire; i++)
		free(p->wire[i].bytes);
	free(p->wire);
	for (u32 end = 0; end < 2; end++) {
		free(p->end[end].e);
		free(p->end[end].arena);
		munmap(p->end[end].pool_mem, buf_pool_bytes(&p->end[end].pool_config));
	}
}

u8 pair_byte(u64 salt, u64 position)
{
	u64 s = salt ^ position >> 3;

	return (u8)(prng_splitmix(&s) >> (position & 7) * 8);
}

static struct tcp_open_params open_params(struct pair *p, u32 end, u32 i)
{
	return (struct tcp_open_params){
		.path = p->end[end].path,
		.local_port = (u16)(end ? SERVER_PORT : CLIENT_PORT + i),
		.remote_port = (u16)(end ? CLIENT_PORT + i : SERVER_PORT),
		.options = p->o.options,
		.rcv_wscale = p->o.wscale,
		.settings =
			{
				.nodelay = !p->o.nagle,
				.rcv_buf_bytes = p->o.rcv_buf,
				.snd_buf_bytes = p->o.snd_buf,
				.hop_limit = 64,
				.cc_algorithm = p->o.cc,
			},
	};
}

static void add_stream(struct pair *p, u32 i)
{
	for (u32 end = 0; end < 2; end++)
		p->end[end].stream[i].salt = p->o.seed * 1000 + i * 2 + end;
	p->n_conns = max_of(p->n_conns, i + 1);
}

void pair_open(struct pair *p, u32 i)
{
	struct tcp_open_params params = open_params(p, 0, i);

	if (tcp_open(p->end[0].e, &params, p->now_ns, &p->end[0].conn[i]))
		abort();
	add_stream(p, i);
}

void pair_state(struct pair *p, u32 end, u32 i, struct tcp_state *ret)
{
	struct tcp_open_params params = open_params(p, end, i);
	tcp_seq mine = seq_of(end ? 0x7fff0000 : 0xffff0000),
		theirs = seq_of(end ? 0xffff0000 : 0x7fff0000);
	u32 wnd = min_of(p->o.rcv_buf, 65535u << p->o.wscale);

	memset(ret, 0, sizeof(*ret));
	ret->k.local_port = params.local_port;
	ret->k.remote_port = params.remote_port;
	ret->k.options = p->o.options;
	ret->k.snd_wscale = ret->k.rcv_wscale = p->o.wscale;
	ret->k.peer_mss = (u16)(p->o.mtu - (p->o.v6 ? 60 : 40));
	ret->k.iss = seq_add(mine, (u32)-1);
	ret->k.irs = seq_add(theirs, (u32)-1);
	ret->c = params.settings;
	ret->d.state = TCP_ESTABLISHED;
	ret->d.rcv_nxt = ret->d.rcv_up = ret->d.last_ack_sent = theirs;
	ret->d.rcv_wnd = wnd;
	ret->d.rcv_adv = seq_add(theirs, wnd);
	ret->d.snd_una = ret->d.snd_nxt = ret->d.snd_max = ret->d.snd_up = mine;
	ret->d.high_rxt = ret->d.recovery_point = seq_add(mine, (u32)-1);
	ret->d.snd_wnd = ret->d.max_snd_wnd = wnd;
	ret->d.snd_wl1 = theirs;
	ret->d.snd_wl2 = mine;
	ret->d.cwnd_bytes = 14600;
	ret->d.ssthresh_bytes = UINT32_MAX;
	ret->d.rto_ns = NS_PER_S;
	ret->d.send.buf = ret->d.recv.buf = NIL;
	ret->d.ts_offset = end ? 77 : 99;
	ret->d.ts_recent = (u32)(p->now_ns / NS_PER_MS) + (end ? 99 : 77);
	ret->d.retransmit_left_ns = TIMER_STOPPED;
	ret->d.persist_left_ns = TIMER_STOPPED;
	ret->d.keepalive_left_ns = TIMER_STOPPED;
	ret->d.fin_wait2_left_ns = TIMER_STOPPED;
	ret->d.delayed_ack_left_ns = TIMER_STOPPED;
}

void pair_import(struct pair *p, u32 i)
{
	struct tcp_state s;

	for (u32 end = 0; end < 2; end++) {
		pair_state(p, end, i, &s);
		if (tcp_conn_import(p->end[end].e, &s, p->end[end].path, p->now_ns,
		                    &p->end[end].conn[i]))
			abort();
	}
	add_stream(p, i);
}

/* -- the wire ---------------------------------------------------------------------------------- */

static void put_on_wire(struct pair *p, u32 from, u8 *bytes, u32 len, const struct tx_frame *f)
{
	struct pair_packet *w;
	u64 delay = p->o.delay_ns;

	if (p->n_wire == p->cap_wire) {
		p->cap_wire = p->cap_wire ? p->cap_wire * 2 : 64;
		p->wire = realloc(p->wire, p->cap_wire * sizeof(*p->wire));
	}
	if (prng_chance(&p->prng, p->o.reorder_ppm))
		delay += prng_below(&p->prng, (u32)min_of(2 * delay + 1, (u64)UINT32_MAX));
	if (p->o.mbit_s) {
		p->wire_free_ns[from] =
			max_of(p->wire_free_ns[from], p->now_ns) + len * 8000ull / p->o.mbit_s;
		delay += p->wire_free_ns[from] - p->now_ns;
	}
	w = &p->wire[p->n_wire++];
	*w = (struct pair_packet){
		.at_ns = p->now_ns + delay,
		.order = p->order++,
		.to = !from,
		.len = len,
		.gso_bytes = f->gso_bytes,
		.csum = f->csum_start ? FRAME_CSUM_PARTIAL : FRAME_CSUM_UNKNOWN,
		.bytes = bytes,
	};
	if (prng_chance(&p->prng, p->o.corrupt_ppm) && !f->csum_start)
		bytes[prng_below(&p->prng, len)] ^= (u8)(1u << prng_below(&p->prng, 8));
}

static void transmit(struct pair *p, u32 from, const struct tx_frame *f)
{
	u32 len = tx_frame_len(f);
	u32 copies = 1 + prng_chance(&p->prng, p->o.duplicate_ppm);

	p->frames++;
	for (u32 i = 0; i < copies; i++) {
		u8 *bytes = malloc(len);

		memcpy(bytes, f->header + f->header_off, f->header_len);
		if (f->payload_len) {
			struct buf_pool *pool = &p->end[from].pool;
			u32 skip = f->payload_off - buf_at(pool, f->payload_buf)->off;

			if (buf_chain_copy(pool, f->payload_buf, skip, bytes + f->header_len,
			                   f->payload_len) != f->payload_len)
				abort();
		}
		if ((p->filter && !p->filter(p, from, bytes, len)) ||
		    prng_chance(&p->prng, p->o.loss_ppm)) {
			p->lost++;
			free(bytes);
			continue;
		}
		put_on_wire(p, from, bytes, len, f);
	}
}

/* As a port receives: a small buffer, what spills over in large ones. NIL: the pool is dry. */
static u32 make_chain(struct buf_pool *pool, const u8 *bytes, u32 len)
{
	u32 head = NIL, tail = NIL;

	for (u32 done = 0; done < len;) {
		u32 buf = buf_alloc(pool, head == NIL ? BUF_SMALL : BUF_LARGE);
		u32 n;

		if (buf == NIL) {
			buf_put_chain(pool, head);
			return NIL;
		}
		n = min_of(len - done, buf_capacity(pool, buf));
		memcpy(buf_bytes(pool, buf), bytes + done, n);
		buf_at(pool, buf)->len = n;
		done += n;
		if (head == NIL)
			head = buf;
		else
			buf_at(pool, tail)->next = buf;
		tail = buf;
	}
	return head;
}

static void accept_syn(struct pair *p, u32 end, const struct rx_frame *f)
{
	for (u32 i = 0; i < p->n_conns && end == 1; i++) {
		struct tcp_open_params params = open_params(p, 1, i);
		u32 conn;

		if (p->end[1].conn[i] == NIL &&
		    !tcp_open_passive(p->end[1].e, f, &params, p->now_ns, &conn)) {
			p->end[1].conn[i] = conn;
			return;
		}
	}
}

static void receive(struct pair *p, const struct pair_packet *w)
{
	struct pair_end *n = &p->end[w->to];
	struct rx_frame f = {.len = w->len, .gso_bytes = w->gso_bytes, .csum = w->csum};

	f.buf = make_chain(&n->pool, w->bytes, w->len);
	if (f.buf == NIL)
		return;
	tcp_input(n->e, &f, 1, p->now_ns);
	if (f.verdict == FRAME_PENDING)
		abort();
	if (f.verdict == FRAME_TO_HOST && f.reason == TCP_TO_HOST_NO_CONNECTION)
		accept_syn(p, w->to, &f);
	if (f.verdict != FRAME_CONSUMED)
		buf_put_chain(&n->pool, f.buf);
}

/* -- applications ------------------------------------------------------------------------------ */

static void app_send(struct pair *p, struct pair_end *n, u32 i)
{
	struct pair_stream *s = &n->stream[i];
	u8 bytes[CHUNK];
	s64 taken = 1;

	while (s->sent < s->to_send && taken > 0) {
		u32 len = (u32)min_of(s->to_send - s->sent, (u64)CHUNK);

		len = 1 + prng_below(&p->prng, len);
		len = min_of(len, tcp_send_room(n->e, n->conn[i]));
		for (u32 k = 0; k < len; k++)
			bytes[k] = pair_byte(s->salt, s->sent + k);
		taken = tcp_send(n->e, n->conn[i], bytes, len);
		if (taken > 0)
			s->sent += (u64)taken;
	}
	/* RFC 9293 3.10.4: in SYN_SENT it would end the connection. */
	if (s->close && s->sent == s->to_send && tcp_conn_state(n->e, n->conn[i]) > TCP_SYN_SENT)
		tcp_shutdown(n->e, n->conn[i]);
}

static void app_receive(struct pair *p, u32 end, u32 i)
{
	struct pair_end *n = &p->end[end];
	struct pair_stream *s = &n->stream[i];
	u64 salt = p->end[!end].stream[i].salt;
	u8 bytes[CHUNK];
	s64 got;

	while (!s->paused && (got = tcp_recv(n->e, n->conn[i], bytes, CHUNK)) > 0) {
		for (s64 k = 0; k < got; k++)
			s->wrong += bytes[k] != pair_byte(salt, s->received + (u64)k);
		s->received += (u64)got;
	}
}

static void app_events(struct pair *p, u32 end)
{
	struct pair_end *n = &p->end[end];
	struct tcp_event ev[16];
	u32 count;

	while ((count = tcp_events(n->e, ev, 16)))
		for (u32 k = 0; k < count; k++)
			for (u32 i = 0; i < p->n_conns; i++)
				if (n->conn[i] == ev[k].conn)
					n->stream[i].events |= ev[k].events;
}

static void work_end(struct pair *p, u32 end)
{
	struct pair_end *n = &p->end[end];
	struct tx_frame frames[TX_CAP];
	struct tx_batch tx = {frames, 0, TX_CAP};
	bool more;

	app_events(p, end);
	for (u32 i = 0; i < p->n_conns; i++) {
		if (n->conn[i] == NIL)
			continue;
		app_receive(p, end, i);
		app_send(p, n, i);
	}
	do {
		more = tcp_flush(n->e, p->now_ns, &tx);
		for (u32 k = 0; k < tx.n; k++)
			transmit(p, end, &tx.frames[k]);
		tx.n = 0;
	} while (more);
	app_events(p, end);
}

void pair_work(struct pair *p)
{
	work_end(p, 0);
	work_end(p, 1);
}

static u32 next_packet(const struct pair *p)
{
	u32 best = NIL;

	for (u32 i = 0; i < p->n_wire; i++)
		if (best == NIL || p->wire[i].at_ns < p->wire[best].at_ns ||
		    (p->wire[i].at_ns == p->wire[best].at_ns &&
		     p->wire[i].order < p->wire[best].order))
			best = i;
	return best;
}

bool pair_step(struct pair *p, u64 until_ns)
{
	u64 at = min_of(tcp_next_deadline(p->end[0].e), tcp_next_deadline(p->end[1].e));
	u32 w = next_packet(p);

	if (w != NIL)
		at = min_of(at, p->wire[w].at_ns);
	if (at > until_ns) {
		p->now_ns = max_of(p->now_ns, until_ns);
		return false;
	}
	p->now_ns = max_of(p->now_ns, at);
	for (; w != NIL && p->wire[w].at_ns <= p->now_ns; w = next_packet(p)) {
		struct pair_packet packet = p->wire[w];

		p->wire[w] = p->wire[--p->n_wire];
		receive(p, &packet);
		free(packet.bytes);
	}
	tcp_timers(p->end[0].e, p->now_ns);
	tcp_timers(p->end[1].e, p->now_ns);
	pair_work(p);
	return true;
}

void pair_run(struct pair *p, u64 until_ns)
{
	pair_work(p);
	while (pair_step(p, until_ns))
		;
}

static bool through(const struct pair *p)
{
	for (u32 i = 0; i < p->n_conns; i++)
		for (u32 end = 0; end < 2; end++) {
			const struct pair_stream *s = &p->end[end].stream[i];
			const struct pair_stream *o = &p->end[!end].stream[i];

			if (s->received != o->to_send)
				return false;
			if (o->close && !(s->events & TCP_EV_FIN))
				return false;
			if (s->close && !(s->events & TCP_EV_FIN_ACKED))
				return false;
		}
	return true;
}

bool pair_run_streams(struct pair *p, u64 limit_ns)
{
	u64 until_ns = p->now_ns + limit_ns;

	pair_work(p);
	while (!through(p))
		if (!pair_step(p, until_ns))
			return false;
	return true;
}

u32 pair_free_buffers(struct pair_end *end)
{
	return end->pool.n_free[BUF_SMALL] + end->pool.n_free[BUF_LARGE];
}

u32 pair_total_buffers(struct pair_end *end)
{
	return end->pool.count[BUF_SMALL] + end->pool.count[BUF_LARGE];
}
