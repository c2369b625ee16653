/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "port/sim.h"

#include <errno.h>

#include "base/csum.h"
#include "base/prng.h"
#include "port/gather.h"
#include "wire/parse.h"

/* A frame under way. The heap is ordered by (arrive_ns, order): ties leave in the order they came.
 */
struct flight {
	u64 arrive_ns;
	u64 order;
	struct rx_frame frame; /* in the wire's own pool */
};

struct sim_direction {
	struct sim_link link;
	struct prng prng;
	struct flight *heap;
	u32 n;
	bool bad;        /* Gilbert-Elliott state */
	u64 busy_ns;     /* until when the line serialises what was sent */
	u64 in_order_ns; /* latest arrival of a frame that was not held back */
	u64 order;
	struct sim_link_counters counters;
};

struct sim_end {
	struct port port;
	struct sim_wire *wire;
	struct buf_pool *pool;
	u32 index;
	struct port_counters counters;
};

struct sim_wire {
	struct sim_wire_config config;
	u64 now_ns;
	bool up;
	sim_wire_filter filter;
	void *filter_context;
	struct buf_pool pool; /* frames under way */
	struct sim_direction directions[2];
	struct sim_end ends[2];
};

/* -- the heap of frames under way -------------------------------------------------------------- */

static bool flight_before(const struct flight *a, const struct flight *b)
{
	return a->arrive_ns != b->arrive_ns ? a->arrive_ns < b->arrive_ns : a->order < b->order;
}

static void heap_push(struct sim_direction *d, const struct flight *f)
{
	u32 i = d->n++;

	while (i && flight_before(f, &d->heap[(i - 1) / 2])) {
		d->heap[i] = d->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	d->heap[i] = *f;
}

static struct flight heap_pop(struct sim_direction *d)
{
	struct flight top = d->heap[0];
	struct flight last = d->heap[--d->n];
	u32 i = 0;

	for (;;) {
		u32 child = 2 * i + 1;

		if (child >= d->n)
			break;
		if (child + 1 < d->n && flight_before(&d->heap[child + 1], &d->heap[child]))
			child++;
		if (flight_before(&last, &d->heap[child]))
			break;
		d->heap[i] = d->heap[child];
		i = child;
	}
	d->heap[i] = last;
	return top;
}

/* -- faults ------------------------------------------------------------------------------------ */

static bool link_loses(struct sim_direction *d)
{
	if (!d->bad && prng_chance(&d->prng, d->link.burst_ppm))
		d->bad = true;
	if (d->bad) {
		d->counters.burst_lost++;
		d->bad = !prng_chance(&d->prng, d->link.burst_end_ppm);
		return true;
	}
	if (prng_chance(&d->prng, d->link.loss_ppm)) {
		d->counters.lost++;
		return true;
	}
	return false;
}

/* What checksum offload would do at the far side of the sender's card. The frame was just copied
 * from f, so its first buffer holds the headers. */
static void fill_checksum(struct buf_pool *pool, struct rx_frame *frame, const struct tx_frame *f)
{
	u64 sum = csum_chain(0, pool, frame->buf, f->csum_start, frame->len - f->csum_start);
	be16 check = csum_finish(sum);

	memcpy(buf_data(pool, frame->buf) + f->csum_start + f->csum_offset, &check, sizeof(check));
	frame->csum = FRAME_CSUM_UNKNOWN;
}

static void flip_bit(struct sim_direction *d, struct buf_pool *pool, const struct rx_frame *frame)
{
	u32 bit = prng_below(&d->prng, frame->len * 8);
	u32 at = bit / 8;
	u32 i = frame->buf;

	while (at >= buf_at(pool, i)->len) {
		at -= buf_at(pool, i)->len;
		i = buf_at(pool, i)->next;
	}
	buf_data(pool, i)[at] ^= (u8)(1 << bit % 8);
}

/* Congestion that is told instead of dropped. The headers lie in the first buffer. */
static void mark(struct sim_direction *d, struct buf_pool *pool, const struct rx_frame *frame)
{
	u8 *p = buf_data(pool, frame->buf);
	struct wire_tcp_segment s;
	be16 sum = 0;
	u8 *ip;

	if (wire_parse_tcp(p, buf_at(pool, frame->buf)->len, frame->len, &s) != WIRE_OK ||
	    !(s.tos & 3))
		return;
	ip = p + s.ip_off;
	d->counters.marked++;
	if (s.ip_version == 6) {
		ip[1] |= 3 << 4;
		return;
	}
	ip[1] |= 3;
	memcpy(ip + 10, &sum, 2);
	sum = csum_finish(csum_bytes(0, ip, 20));
	memcpy(ip + 10, &sum, 2);
}

/* -- sending ----------------------------------------------------------------------------------- */

/* Queues behind what is being serialised; false: the queue is full. */
static bool link_serialise(struct sim_direction *d, u64 now_ns, u32 len, u64 *ret_leaves_ns)
{
	u64 rate = d->link.bits_per_s;
	u64 start = max_of(now_ns, d->busy_ns);

	if (!rate) {
		*ret_leaves_ns = now_ns;
		return true;
	}
	if (d->link.queue_bytes) {
		u64 backlog = (u64)((unsigned __int128)(start - now_ns) * rate / (8 * NS_PER_S));

		if (backlog + len > d->link.queue_bytes)
			return false;
	}
	d->busy_ns = start + (u64)((unsigned __int128)len * 8 * NS_PER_S / rate);
	*ret_leaves_ns = d->busy_ns;
	return true;
}

static u64 link_arrival(struct sim_direction *d, u64 leaves_ns)
{
	u64 arrive = leaves_ns + d->link.delay_ns;

	if (d->link.jitter_ns)
		arrive += prng_u64(&d->prng) % (d->link.jitter_ns + 1);
	if (d->link.reorder_ppm && prng_chance(&d->prng, d->link.reorder_ppm)) {
		d->counters.reordered++;
		return arrive + d->link.reorder_ns;
	}
	d->in_order_ns = max_of(d->in_order_ns, arrive);
	return d->in_order_ns;
}

static void link_enqueue(struct sim_wire *w, struct sim_direction *d, const struct rx_frame *frame,
                         u64 leaves_ns)
{
	struct flight f = {.order = d->order++, .frame = *frame};

	if (d->n == w->config.frames_max) {
		d->counters.overflow++;
		buf_put_chain(&w->pool, frame->buf);
		return;
	}
	f.arrive_ns = link_arrival(d, leaves_ns);
	heap_push(d, &f);
}

/* A frame that the line carries: duplicated and damaged as drawn. */
static void link_carry(struct sim_wire *w, struct sim_direction *d, struct rx_frame *frame,
                       const struct tx_frame *f)
{
	struct rx_frame copy;
	u64 leaves_ns;

	if (!link_serialise(d, w->now_ns, frame->len, &leaves_ns)) {
		d->counters.overflow++;
		buf_put_chain(&w->pool, frame->buf);
		return;
	}
	if (prng_chance(&d->prng, d->link.duplicate_ppm) &&
	    !frame_clone(&w->pool, &w->pool, frame, &copy)) {
		d->counters.duplicated++;
		link_enqueue(w, d, &copy, leaves_ns);
	}
	if (d->link.mark_ppm && prng_chance(&d->prng, d->link.mark_ppm))
		mark(d, &w->pool, frame);
	if (prng_chance(&d->prng, d->link.corrupt_ppm)) {
		d->counters.corrupted++;
		if (f->csum_start)
			fill_checksum(&w->pool, frame, f);
		flip_bit(d, &w->pool, frame);
	}
	link_enqueue(w, d, frame, leaves_ns);
}

static void sim_send(struct sim_end *e, const struct tx_frame *f)
{
	struct sim_wire *w = e->wire;
	struct sim_direction *d = &w->directions[e->index];
	struct rx_frame frame;
	int err = frame_copy_across(&w->pool, e->pool, f, &frame);

	if (err == -EINVAL) {
		e->counters.tx_failed++;
		return;
	}
	e->counters.tx_frames++;
	e->counters.tx_bytes += tx_frame_len(f);
	d->counters.entered++;
	if (err) {
		d->counters.overflow++;
		return;
	}
	if (w->filter && !w->filter(w->filter_context, e->index, &w->pool, &frame, w->now_ns))
		d->counters.filtered++;
	else if (!w->up)
		d->counters.down++;
	else if (!link_loses(d)) {
		link_carry(w, d, &frame, f);
		return;
	}
	buf_put_chain(&w->pool, frame.buf);
}

static int sim_transmit(struct port *port, const struct tx_frame *frames, u32 n)
{
	for (u32 i = 0; i < n; i++)
		sim_send((struct sim_end *)port, &frames[i]);
	return (int)n;
}

/* -- receiving --------------------------------------------------------------------------------- */

static int sim_receive(struct port *port, struct rx_frame *frames, u32 n)
{
	struct sim_end *e = (struct sim_end *)port;
	struct sim_wire *w = e->wire;
	struct sim_direction *d = &w->directions[1 - e->index];
	u32 done = 0;

	while (done < n && d->n && d->heap[0].arrive_ns <= w->now_ns) {
		struct flight f = heap_pop(d);

		if (frame_clone(e->pool, &w->pool, &f.frame, &frames[done])) {
			e->counters.rx_no_buffer++;
		} else {
			e->counters.rx_bytes += f.frame.len;
			done++;
		}
		d->counters.delivered++;
		buf_put_chain(&w->pool, f.frame.buf);
	}
	e->counters.rx_frames += done;
	return (int)done;
}

static void sim_info(const struct port *port, struct port_info *ret)
{
	const struct sim_wire_config *c = &((const struct sim_end *)port)->wire->config;

	*ret = (struct port_info){
		.gso_max_bytes = c->gso_max_bytes,
		.tx_csum = c->tx_csum,
		.fd = -1,
		.mtu_bytes = c->mtu_bytes,
		.mode = "sim",
	};
}

static void sim_counters(const struct port *port, struct port_counters *ret)
{
	*ret = ((const struct sim_end *)port)->counters;
}

static void sim_destroy(struct port *port)
{
}

static const struct port_ops sim_ops = {
	.receive = sim_receive,
	.transmit = sim_transmit,
	.info = sim_info,
	.counters = sim_counters,
	.destroy = sim_destroy,
};

/* -- the wire ---------------------------------------------------------------------------------- */

static struct buf_pool_config wire_pool(const struct sim_wire_config *c)
{
	/* One more each for the frame that is looked at and its duplicate. */
	return (struct buf_pool_config){.small = 2 * c->frames_max + 2,
	                                .large = c->superframes_max + 2};
}

static size_t wire_head_bytes(void)
{
	return (sizeof(struct sim_wire) + 4095) & ~(size_t)4095;
}

size_t sim_wire_bytes(const struct sim_wire_config *config)
{
	struct buf_pool_config pool = wire_pool(config);

	return wire_head_bytes() + buf_pool_bytes(&pool) +
	       2 * sizeof(struct flight) * (size_t)config->frames_max;
}

struct sim_wire *sim_wire_init(void *mem, const struct sim_wire_config *config,
                               struct buf_pool *const pool[2])
{
	struct buf_pool_config own = wire_pool(config);
	struct sim_wire *w = mem;
	u8 *at = (u8 *)mem + wire_head_bytes();
	struct flight *heaps = (struct flight *)(at + buf_pool_bytes(&own));

	memset(w, 0, sizeof(*w));
	w->config = *config;
	w->up = true;
	buf_pool_init(&w->pool, at, &own);
	for (u32 i = 0; i < 2; i++) {
		w->directions[i].link = config->link[i];
		w->directions[i].heap = heaps + (size_t)i * config->frames_max;
		prng_seed(&w->directions[i].prng, config->seed * 2 + i);
		w->ends[i] = (struct sim_end){
			.port.ops = &sim_ops,
			.wire = w,
			.pool = pool[i],
			.index = i,
		};
	}
	return w;
}

struct port *sim_wire_port(struct sim_wire *wire, u32 end)
{
	return &wire->ends[end].port;
}

void sim_wire_set_now(struct sim_wire *wire, u64 now_ns)
{
	wire->now_ns = max_of(wire->now_ns, now_ns);
}

u64 sim_wire_next_ns(const struct sim_wire *wire, u32 end)
{
	const struct sim_direction *d = &wire->directions[1 - end];

	return d->n ? d->heap[0].arrive_ns : UINT64_MAX;
}

void sim_wire_set_link(struct sim_wire *wire, u32 direction, const struct sim_link *link)
{
	wire->directions[direction].link = *link;
}

void sim_wire_set_up(struct sim_wire *wire, bool up)
{
	wire->up = up;
	for (u32 i = 0; i < 2 && !up; i++) {
		struct sim_direction *d = &wire->directions[i];

		d->counters.down += d->n;
		while (d->n)
			buf_put_chain(&wire->pool, d->heap[--d->n].frame.buf);
	}
}

void sim_wire_set_mtu(struct sim_wire *wire, u32 mtu_bytes)
{
	wire->config.mtu_bytes = mtu_bytes;
}

void sim_wire_set_filter(struct sim_wire *wire, sim_wire_filter filter, void *context)
{
	wire->filter = filter;
	wire->filter_context = context;
}

void sim_wire_counters(const struct sim_wire *wire, u32 direction, struct sim_link_counters *ret)
{
	*ret = wire->directions[direction].counters;
}
