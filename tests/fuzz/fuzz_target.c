// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * Lists of a stranger against a target: every call with any forest, any handles, any links. Each
 * accepted call completes exactly once with a status in every block; what the target believes it
 * holds is what a scan of its arena finds; nothing is left when the last object is gone.
 *
 * The input is a sequence of calls: a byte for the call, a byte for the number of blocks, then for
 * each block layer and role, flags, links, a handle, and an edit of its state.
 */
#include "fuzz.h"

#include "offload/request.h"
#include "state/schema.h"
#include "target/target.h"

enum { BLOCKS_MAX = 24, CALLS_MAX = 24, HANDLES_MAX = 256 };

struct run {
	struct fuzz_in in;
	struct target_config config;
	struct target *t;
	void *arena, *list_mem;
	struct device dev;
	struct block_list list;
	struct offload_request request;
	u32 completed;
	handle handles[LAYERS][HANDLES_MAX]; /* that were ever given out */
	u32 n_handles[LAYERS];
};

static void complete(void *host, struct offload_request *request)
{
	struct run *r = host;

	FUZZ_MUST(request == &r->request);
	r->completed++;
}

static void data_complete(void *host, const struct data_completion *done, u32 n)
{
	FUZZ_MUST(n > 0 && done->kind < DATA_KINDS);
}

static void indicate(void *host, const struct indication *ind, u32 n)
{
	for (u32 i = 0; i < n; i++)
		FUZZ_MUST(ind[i].kind < IND_KINDS);
}

static const struct host_ops host_ops = {complete, data_complete, indicate};

static void begin(struct run *r)
{
	static struct run kept; /* memory is made once */

	if (!kept.t) {
		kept.config = (struct target_config){
			.connections = 12,
			.paths = 6,
			.neighbors = 4,
			.bufs = {.small = 64, .large = 4},
			.list_blocks = BLOCKS_MAX,
		};
		kept.t = aligned_alloc(64, (target_bytes(&kept.config) + 63) & ~(size_t)63);
		kept.arena = aligned_alloc(4096, target_arena_bytes(&kept.config));
		kept.list_mem = aligned_alloc(
			64, (block_list_bytes(BLOCKS_MAX, BLOCKS_MAX, BLOCKS_MAX, BLOCKS_MAX) +
		             63) & ~(size_t)63);
	}
	r->config = kept.config;
	r->t = kept.t;
	r->arena = kept.arena;
	r->list_mem = kept.list_mem;
	FUZZ_MUST(!target_init(r->t, r->arena, &r->config));
	r->dev = target_device(r->t);
	r->dev.ops->attach(r->dev.impl, (struct host_side){&host_ops, r});
}

static void fill_tcp(struct tcp_state *s, u8 i)
{
	memset(s, 0, sizeof(*s));
	s->k.local_port = (u16)(1 + i);
	s->k.remote_port = 80;
	s->k.peer_mss = 1460;
	s->c.rcv_buf_bytes = s->c.snd_buf_bytes = 65536;
	s->d.state = TCP_ESTABLISHED;
	s->d.rcv_wnd = 65536;
	s->d.rcv_adv = seq_of(65536);
	s->d.snd_wnd = s->d.max_snd_wnd = 65536;
	s->d.cwnd_bytes = 14600;
	s->d.ssthresh_bytes = UINT32_MAX;
	s->d.rto_ns = NS_PER_S;
	s->d.send.buf = s->d.recv.buf = NIL;
	s->d.retransmit_left_ns = s->d.persist_left_ns = s->d.keepalive_left_ns = TIMER_STOPPED;
	s->d.fin_wait2_left_ns = s->d.delayed_ack_left_ns = TIMER_STOPPED;
}

/* A state that may be offloaded, then some bytes of it as the input has them. */
static void fill_state(struct run *r, u32 layer, void *state)
{
	static const struct ip_addr a = {{[10] = 0xff, [11] = 0xff, 10, 0, 0, 1}};
	u8 i = fuzz_u8(&r->in), edits = fuzz_u8(&r->in) % 4;
	u32 bytes = r->list.schema->layer[layer]->state_bytes;

	if (layer == LAYER_NEIGHBOR) {
		*(struct neighbor_state *)state = (struct neighbor_state){
			.k.source_mac.b = {2}, .k.encapsulations = 1, .c.next_hop_mac.b = {4, i}};
	} else if (layer == LAYER_PATH) {
		*(struct path_state *)state = (struct path_state){
			.k.local_addr = a, .k.remote_addr = a, .c.path_mtu = 1500};
		((struct path_state *)state)->k.remote_addr.b[15] = i;
	} else {
		fill_tcp(state, i);
	}
	while (edits-- > 0)
		((u8 *)state)[fuzz_u16(&r->in) % bytes] = fuzz_u8(&r->in);
}

static handle any_handle(struct run *r, u32 layer)
{
	u8 i = fuzz_u8(&r->in);

	if (i & 1 && layer < LAYERS && r->n_handles[layer])
		return r->handles[layer][(i >> 1) % r->n_handles[layer]];
	return i & 2 ? (u64)(i >> 2) << 32 | fuzz_u8(&r->in) : HANDLE_NONE;
}

/* Links are small numbers, so that many of them make sense; some do not. */
static u32 any_link(struct run *r)
{
	u8 i = fuzz_u8(&r->in);

	return i < BLOCKS_MAX + 2 ? i : NIL;
}

static void make_list(struct run *r)
{
	u32 n = fuzz_u8(&r->in) % (BLOCKS_MAX + 1);
	u8 tidy = fuzz_u8(&r->in);

	block_list_init(&r->list, r->list_mem, BLOCKS_MAX, BLOCKS_MAX, BLOCKS_MAX, BLOCKS_MAX);
	for (u32 i = 0; i < n; i++) {
		u8 what = fuzz_u8(&r->in);
		u32 layer = what % LAYERS, parent = fuzz_u8(&r->in), at;
		struct block *b;

		parent = layer ? parent % (r->list.n_blocks + 1) : NIL;
		if (block_list_add(&r->list, parent, layer, what & 8, &at))
			continue; /* no such parent: the list gets shorter */
		b = block_at(&r->list, at);
		b->flags = what & 16 ? BLOCK_CONST | BLOCK_CACHED | BLOCK_DELEGATED : what >> 5;
		b->host = 1 + i;
		if (!(what & 16))
			b->device = any_handle(r, layer);
		if (what & 8)
			fill_state(r, layer, block_list_state(&r->list, layer, b->state));
	}
	if (tidy & 1) /* a tree that block_list_add() made, or what the input says */
		return;
	for (u32 edits = tidy >> 1 & 3; edits > 0 && r->list.n_blocks; edits--) {
		struct block *b = block_at(&r->list, fuzz_u8(&r->in) % r->list.n_blocks);

		b->next = any_link(r);
		b->dependent = any_link(r);
		b->layer ^= fuzz_u8(&r->in) & 3;
		b->state ^= fuzz_u8(&r->in) & 7;
	}
	if (tidy & 8)
		r->list.root = any_link(r);
}

static void note_handles(struct run *r)
{
	for (u32 i = 0; i < r->list.n_blocks; i++) {
		const struct block *b = block_at(&r->list, i);

		if (b->device && b->layer < LAYERS && r->n_handles[b->layer] < HANDLES_MAX)
			r->handles[b->layer][r->n_handles[b->layer]++] = b->device;
	}
}

static int state_call(struct run *r, u8 what)
{
	const struct device_ops *ops = r->dev.ops;
	const struct layer_ops *layer = r->dev.layer[what >> 4 & 1 ? LAYER_PATH : what >> 5 & 1];
	enum block_call call = what % (BLOCK_CALLS - 1); /* the second phase is made below */

	offload_request_init(&r->request, call, &r->list, 0);
	r->request.two_phase = call == BLOCK_CALL_OFFLOAD && what & 128;
	switch (call) {
	case BLOCK_CALL_OFFLOAD:
		return ops->offload(r->dev.impl, &r->request);
	case BLOCK_CALL_UPLOAD:
		return ops->upload(r->dev.impl, &r->request);
	case BLOCK_CALL_UPDATE:
		return layer->update(r->dev.impl, &r->request);
	case BLOCK_CALL_INVALIDATE:
		return layer->invalidate(r->dev.impl, &r->request);
	default:
		return layer->query(r->dev.impl, &r->request);
	}
}

/* What came back is whole: no block without an answer, unless the list was none. */
static void check_answers(struct run *r)
{
	for (u32 i = 0; i < r->list.n_blocks; i++)
		FUZZ_MUST(block_at(&r->list, i)->status < STATUSES);
}

static void settle(struct run *r, u64 now_ns)
{
	struct tx_frame frames[16];
	struct tx_batch tx = {frames, 0, 16};

	while (r->dev.frames->flush(r->dev.impl, &tx, now_ns))
		tx.n = 0;
	r->dev.frames->timers(r->dev.impl, now_ns);
	r->dev.frames->events(r->dev.impl, now_ns);
}

static void one_call(struct run *r, u64 now_ns)
{
	u8 what = fuzz_u8(&r->in), then;
	u32 before = r->completed;

	make_list(r);
	if (state_call(r, what)) {
		FUZZ_MUST(r->completed == before);
		return;
	}
	settle(r, now_ns);
	if (r->request.call == BLOCK_CALL_UPLOAD && r->completed == before) {
		r->in.left = 0; /* parents wait for what still hangs on them; the list is theirs */
		return;
	}
	FUZZ_MUST(r->completed == before + 1);
	check_answers(r);
	if (r->request.call == BLOCK_CALL_OFFLOAD)
		note_handles(r);
	if (r->request.two_phase) {
		then = fuzz_u8(&r->in);
		for (u32 i = 0; i < r->list.n_blocks; i++)
			if (then >> i % 8 & 1)
				block_at(&r->list, i)->status = STATUS_FAILED;
		r->request.call = BLOCK_CALL_TRANSFER;
		if (!r->dev.ops->transfer(r->dev.impl, &r->request)) {
			settle(r, now_ns);
			FUZZ_MUST(r->completed == before + 2);
		}
	}
	if (r->request.call == BLOCK_CALL_UPLOAD) {
		then = fuzz_u8(&r->in);
		for (u32 i = 0; i < r->list.n_blocks; i++)
			if (then >> i % 8 & 1 && block_at(&r->list, i)->status == STATUS_OK)
				block_at(&r->list, i)->status = STATUS_FAILED;
		r->dev.ops->commit(r->dev.impl, &r->request);
	}
}

/* A scan finds what the counters say. */
static void check_target(struct run *r, u64 now_ns)
{
	struct target_usage before, after;

	target_usage(r->t, &before);
	target_rebuild(r->t, now_ns);
	target_usage(r->t, &after);
	FUZZ_MUST(!memcmp(&before, &after, sizeof(before)));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct run r;
	u64 now_ns = NS_PER_S;

	memset(&r, 0, sizeof(r));
	r.in = (struct fuzz_in){data, size};
	begin(&r);
	for (u32 i = 0; i < CALLS_MAX && r.in.left; i++) {
		now_ns += NS_PER_MS;
		r.dev.frames->set_time(r.dev.impl, now_ns);
		one_call(&r, now_ns);
		check_target(&r, now_ns);
	}
	return 0;
}
