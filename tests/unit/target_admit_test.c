/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* R25: each limit that the target advertises, exhausted in turn: the status names the limit, the
 * detail its value, what was there lives on, and nothing is left behind. */
#include "target_util.h"

static struct capabilities caps_of(struct world *w)
{
	struct capabilities c;

	w->dev.ops->capabilities(w->dev.impl, &c);
	return c;
}

/* The block of a new list that hangs below a new neighbor and a new path. */
struct tree {
	struct test_list l;
	u32 neighbor, path, conn;
};

static void tree_make(struct tree *x, u32 i)
{
	memset(x, 0, sizeof(*x));
	list_make(&x->l, 8);
	x->neighbor = list_new(&x->l, NIL, LAYER_NEIGHBOR, i);
	x->path = list_new(&x->l, x->neighbor, LAYER_PATH, i);
	x->conn = list_new(&x->l, x->path, LAYER_TCP, i);
}

static struct neighbor_state *tree_neighbor(struct tree *x)
{
	return block_neighbor(&x->l.list, block_at(&x->l.list, x->neighbor));
}

static struct path_state *tree_path(struct tree *x)
{
	return block_path(&x->l.list, block_at(&x->l.list, x->path));
}

static struct tcp_state *tree_tcp(struct tree *x)
{
	return block_tcp(&x->l.list, block_at(&x->l.list, x->conn));
}

static void tree_offload(struct world *w, struct tree *x)
{
	assert_int_equal(call_offload(w, &x->l), 0);
}

static void expect(struct tree *x, u32 block, enum status status, u64 detail)
{
	assert_string_equal(status_word(block_at(&x->l.list, block)->status), status_word(status));
	assert_int_equal(block_at(&x->l.list, block)->detail, detail);
	assert_int_equal(block_at(&x->l.list, block)->device, HANDLE_NONE);
}

/* Uploads what of the tree was offloaded; the target must be as it was. */
static void tree_upload(struct world *w, struct tree *x)
{
	struct test_list l = {0};
	u32 n = NIL, p = NIL;

	list_make(&l, 3);
	if (block_at(&x->l.list, x->neighbor)->device)
		n = list_named(&l, NIL, LAYER_NEIGHBOR, block_at(&x->l.list, x->neighbor)->device,
		               true);
	if (block_at(&x->l.list, x->path)->device)
		p = list_named(&l, n, LAYER_PATH, block_at(&x->l.list, x->path)->device, true);
	if (block_at(&x->l.list, x->conn)->device)
		list_named(&l, p, LAYER_TCP, block_at(&x->l.list, x->conn)->device, true);
	assert_int_equal(call_upload(w, &l), 0);
	w->dev.ops->commit(w->dev.impl, &l.request);
	list_free(&l);
	list_free(&x->l);
}

static void connections(void **state)
{
	struct target_config config = {.connections = 2};
	struct world *w = world_make(&config, false);
	struct target_stats stats;
	struct tree x[3];

	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(caps_of(w).free_connections, 2 - min_of(i, 2u));
		tree_make(&x[i], i);
		if (i == 2) /* the tables of paths are as small: share one */
			break;
		tree_offload(w, &x[i]);
	}
	list_free(&x[2].l);
	list_make(&x[2].l, 4);
	x[2].neighbor = list_placeholder(&x[2].l, NIL, LAYER_NEIGHBOR);
	x[2].path = list_named(&x[2].l, x[2].neighbor, LAYER_PATH,
	                       block_at(&x[0].l.list, x[0].path)->device, false);
	x[2].conn = list_new(&x[2].l, x[2].path, LAYER_TCP, 9);
	tree_offload(w, &x[2]);
	expect(&x[2], x[2].conn, STATUS_NO_CONNECTIONS, 2);
	target_stats(w->t, &stats);
	assert_int_equal(stats.refused[STATUS_NO_CONNECTIONS], 1);
	list_free(&x[2].l);
	tree_upload(w, &x[0]);
	tree_upload(w, &x[1]);
	world_is_empty(w);
	world_free(w);
}

/* `second` must be refused with this status at this block, after `first` was taken. */
static void one_too_many(const struct target_config *config, struct tree *first,
                         struct tree *second, u32 block, enum status status, u64 detail)
{
	struct world *w = world_make(config, false);

	tree_offload(w, first);
	assert_int_equal(block_at(&first->l.list, first->conn)->status, STATUS_OK);
	tree_offload(w, second);
	expect(second, block, status, detail);
	tree_upload(w, first);
	if (block_at(&second->l.list, second->neighbor)->device)
		tree_upload(w, second);
	else
		list_free(&second->l);
	world_is_empty(w);
	world_free(w);
}

static void paths(void **state)
{
	struct target_config config = {.paths = 1};
	struct tree a, b;

	tree_make(&a, 0);
	tree_make(&b, 1);
	one_too_many(&config, &a, &b, b.path, STATUS_NO_PATHS, 1);
}

static void neighbors(void **state)
{
	struct target_config config = {.neighbors = 1};
	struct tree a, b;

	tree_make(&a, 0);
	tree_make(&b, 1);
	one_too_many(&config, &a, &b, b.neighbor, STATUS_NO_NEIGHBORS, 1);
}

static void addresses(void **state)
{
	struct target_config config = {.addresses = 1};
	struct tree a, b;

	tree_make(&a, 0);
	tree_make(&b, 1);
	tree_path(&b)->k.local_addr = addr_v4(10, 0, 0, 2);
	one_too_many(&config, &a, &b, b.path, STATUS_NO_ADDRESSES, 1);
}

static void macs(void **state)
{
	struct target_config config = {.macs = 1};
	struct tree a, b;

	tree_make(&a, 0);
	tree_make(&b, 1);
	tree_neighbor(&b)->k.source_mac.b[5] = 99;
	one_too_many(&config, &a, &b, b.neighbor, STATUS_NO_MACS, 1);
}

static void vlans(void **state)
{
	struct target_config config = {.vlans = 1};
	struct tree a, b;

	tree_make(&a, 0);
	tree_make(&b, 1);
	tree_neighbor(&a)->k.vlans = (struct vlan_stack){1, {0x8100u << 16 | 5}};
	tree_neighbor(&b)->k.vlans = (struct vlan_stack){1, {0x8100u << 16 | 6}};
	one_too_many(&config, &a, &b, b.neighbor, STATUS_NO_VLANS, 1);
}

static void receive_buffers(void **state)
{
	/* 64 small and 2 large buffers: 262,144 bytes; 50 percent of them may be promised */
	struct target_config config = {.bufs = {64, 2}, .oversubscription_percent = 50};
	struct tree a, b;

	tree_make(&a, 0);
	tree_make(&b, 1);
	tree_tcp(&a)->c.rcv_buf_bytes = 131000;
	tree_tcp(&b)->c.rcv_buf_bytes = 1000;
	one_too_many(&config, &a, &b, b.conn, STATUS_NO_RECEIVE_BUFFERS, 262144 / 100 * 50);
}

static void send_buffers(void **state)
{
	struct target_config config = {.bufs = {64, 2}, .oversubscription_percent = 50};
	struct tree a, b;

	tree_make(&a, 0);
	tree_make(&b, 1);
	tree_tcp(&a)->c.snd_buf_bytes = 131000;
	tree_tcp(&b)->c.snd_buf_bytes = 1000;
	tree_tcp(&b)->c.rcv_buf_bytes = tree_tcp(&b)->d.rcv_wnd = 1000;
	one_too_many(&config, &a, &b, b.conn, STATUS_NO_SEND_BUFFERS, 262144 / 100 * 50);
}

static void fits(const struct target_config *config, struct tree *first, struct tree *second)
{
	struct world *w = world_make(config, false);

	tree_offload(w, first);
	tree_offload(w, second);
	assert_int_equal(block_at(&second->l.list, second->conn)->status, STATUS_OK);
	tree_upload(w, first);
	tree_upload(w, second);
	world_is_empty(w);
	world_free(w);
}

/* R64: buffers of its own for each connection, at worst for both directions. */
static void per_connection_pool(void **state)
{
	struct target_config config = {.per_connection_pool = true};
	u32 each = tcp_buffers_worst(65536, 65536);
	struct tree a, b;

	/* 512 bytes are copied, so two buffers that touch hold 513 at least. */
	assert_true(each > 2 * 65536 / 513 + 65536 / 2048 && each < 65536 / 200);
	for (u32 enough = 0; enough < 2; enough++) {
		config.bufs = (struct buf_pool_config){2 * each * 8 / 7 + 1 - !enough * 2, 2};
		tree_make(&a, 0);
		tree_make(&b, 1);
		if (!enough)
			one_too_many(&config, &a, &b, b.conn, STATUS_NO_RECEIVE_BUFFERS,
			             2 * each - 1);
	}
	fits(&config, &a, &b);
}

/* One tree alone is refused at this block. */
static void refused(const struct target_config *config, struct tree *x, u32 block,
                    enum status status, u64 detail)
{
	struct world *w = world_make(config, false);

	tree_offload(w, x);
	expect(x, block, status, detail);
	if (block_at(&x->l.list, x->neighbor)->device)
		tree_upload(w, x);
	else
		list_free(&x->l);
	world_is_empty(w);
	world_free(w);
}

static void windows(void **state)
{
	struct target_config config = {.max_window_bytes = 65535};
	struct tree x;

	tree_make(&x, 0);
	refused(&config, &x, x.conn, STATUS_WINDOW_TOO_LARGE, 65535);
	tree_make(&x, 0);
	tree_tcp(&x)->c.rcv_buf_bytes = 65535; /* but the window in force is larger */
	refused(&config, &x, x.conn, STATUS_WINDOW_TOO_LARGE, 65535);
}

static void mtu(void **state)
{
	struct target_config config = {.max_mtu_bytes = 1400};
	struct tree x;

	tree_make(&x, 0);
	refused(&config, &x, x.path, STATUS_MTU_TOO_LARGE, 1400);
}

static void vlan_depth(void **state)
{
	struct target_config config = {.vlan_depth = 1};
	struct tree x;

	tree_make(&x, 0);
	tree_neighbor(&x)->k.vlans = (struct vlan_stack){2, {0x88a8u << 16 | 5, 0x8100u << 16 | 6}};
	refused(&config, &x, x.neighbor, STATUS_VLAN_MISMATCH, 1);
}

/* Each feature that a state may need, absent in turn, is named in the detail. */
static void features(void **state)
{
	static const u32 bits[] = {
		FEATURE_IPV4,       FEATURE_IPV6,  FEATURE_SACK,    FEATURE_WSCALE,  FEATURE_VLAN,
		FEATURE_TIMESTAMPS, FEATURE_CUBIC, FEATURE_NEWRENO, FEATURE_USEC_TS, FEATURE_SNAP,
		FEATURE_ECN,        FEATURE_BBR,   FEATURE_PACING};

	for (u32 i = 0; i < ARRAY_SIZE(bits); i++) {
		struct target_config config = {.features = ~bits[i]};
		struct tree x;
		u32 block;

		tree_make(&x, 0);
		block = x.conn;
		if (bits[i] == FEATURE_IPV4 || bits[i] == FEATURE_IPV6)
			block = x.path;
		if (bits[i] == FEATURE_VLAN || bits[i] == FEATURE_SNAP)
			block = x.neighbor;
		if (bits[i] == FEATURE_IPV6) {
			tree_path(&x)->k.local_addr = (struct ip_addr){{0xfd, [15] = 1}};
			tree_path(&x)->k.remote_addr = (struct ip_addr){{0xfd, [15] = 2}};
		}
		if (bits[i] == FEATURE_VLAN)
			tree_neighbor(&x)->k.vlans = (struct vlan_stack){1, {0x8100u << 16 | 5}};
		if (bits[i] == FEATURE_SNAP)
			tree_neighbor(&x)->c.header_format = LINK_SNAP;
		if (bits[i] == FEATURE_NEWRENO)
			tree_tcp(&x)->c.cc_algorithm = tree_tcp(&x)->d.cc.type = TCP_CC_NEWRENO;
		if (bits[i] == FEATURE_BBR)
			tree_tcp(&x)->c.cc_algorithm = tree_tcp(&x)->d.cc.type = TCP_CC_BBR;
		if (bits[i] == FEATURE_PACING)
			tree_tcp(&x)->c.max_pacing_rate = 1000000;
		if (bits[i] == FEATURE_ECN)
			tree_tcp(&x)->k.options |= TCP_OPT_ECN;
		if (bits[i] == FEATURE_USEC_TS)
			tree_tcp(&x)->k.options |= TCP_OPT_USEC_TS;
		refused(&config, &x, block, STATUS_NO_FEATURE, bits[i]);
	}
}

static void list_length(void **state)
{
	struct target_config config = {.list_blocks = 2};
	struct world *w = world_make(&config, false);
	struct tree x;

	tree_make(&x, 0);
	assert_int_equal(call_offload(w, &x.l), -E2BIG);
	assert_int_equal(call_upload(w, &x.l), -E2BIG);
	for (u32 layer = 0; layer < LAYERS; layer++) {
		assert_int_equal(call_layer(w, &x.l, BLOCK_CALL_UPDATE, layer), -E2BIG);
		assert_int_equal(call_layer(w, &x.l, BLOCK_CALL_QUERY, layer), -E2BIG);
		assert_int_equal(call_layer(w, &x.l, BLOCK_CALL_INVALIDATE, layer), -E2BIG);
	}
	assert_int_equal(w->host.completed, 0);
	assert_int_equal(block_at(&x.l.list, x.conn)->status, STATUS_PENDING);
	assert_int_equal(caps_of(w).max_list_blocks, 2);
	list_free(&x.l);
	world_is_empty(w);
	world_free(w);
}

/* R107: what the host means to post counts against the descriptors */
static void posted_buffers_asked_for(void **state)
{
	struct target_config config = {.posted = 16};
	struct world *w = world_make(&config, false);
	struct offload_needs needs = {.posted_buffers = 9};
	struct target_stats stats;
	struct tree x;

	tree_make(&x, 0);
	x.l.list.pool = target_pool(w->t);
	offload_request_init(&x.l.request, BLOCK_CALL_OFFLOAD, &x.l.list, 0);
	assert_int_equal(offload_request_need(&x.l.request, &needs), 0);
	assert_int_equal(offload_request_need(&x.l.request, &needs), 0);
	assert_int_equal(w->dev.ops->offload(w->dev.impl, &x.l.request), 0);
	expect(&x, x.conn, STATUS_NO_RECEIVE_BUFFERS, 16);
	target_stats(w->t, &stats);
	assert_int_equal(stats.needs[HOST_SWITCH], 1);
	assert_int_equal(stats.needs[HOST_TRANSPORT], 1);
	assert_int_equal(stats.needs[HOST_NETWORK], 0);
	tree_upload(w, &x);
	world_is_empty(w);
	world_free(w);
}

/* Posting over the limit of one connection, and of all */
static void posted_buffers(void **state)
{
	struct target_config config = {.posted = 5, .posted_per_connection = 3};
	struct world *w = world_make(&config, false);
	struct target_usage usage;
	u8 buf[16];

	world_offload(w, 0, 2);
	for (u64 i = 0; i < 4; i++)
		(void)do_recv(w, 0, buf, sizeof(buf), 0, i);
	assert_int_equal(w->host.n_done, 1);
	assert_int_equal(host_done(w, 3)->status, STATUS_BUSY);
	assert_int_equal(caps_of(w).max_posted_per_connection, 3);
	for (u64 i = 10; i < 13; i++)
		(void)do_recv(w, 1, buf, sizeof(buf), 0, i);
	assert_int_equal(w->host.n_done, 2);
	assert_int_equal(host_done(w, 12)->status, STATUS_BUSY);
	target_usage(w->t, &usage);
	assert_int_equal(usage.posted, 5);
	world_upload(w, 0, 2, true);
	assert_int_equal(w->host.n_done, 7);
	world_is_empty(w);
	world_free(w);
}

/* Payload that lies in another pool needs buffers of ours; each point where they run out */
static void allocation_fails_at_each_point(void **state)
{
	for (u32 small = 0; small < 8; small++) {
		struct target_config config = {.bufs = {small + 1, 1},
		                               .oversubscription_percent = UINT32_MAX};
		struct world *w = world_make(&config, false);
		struct buf_pool_config other = {.small = 32, .large = 1};
		void *mem = zeroed(4096, buf_pool_bytes(&other));
		u32 hold, want = NIL;
		struct buf_pool pool;
		struct tree x;
		struct tcp_state *s;

		/* 3 buffers to be sent, 2 received, 1 out of order; one large that is taken */
		hold = buf_alloc(target_pool(w->t), BUF_LARGE);
		buf_pool_init(&pool, mem, &other);
		tree_make(&x, 0);
		s = tree_tcp(&x);
		for (u32 i = 0; i < 6; i++) {
			struct data_ref *ref = i < 3   ? &s->d.send
			                       : i < 5 ? &s->d.recv
			                               : &s->d.ooo.seg[0].data;
			u32 b = buf_alloc(&pool, BUF_SMALL);

			buf_at(&pool, b)->len = BUF_SMALL_BYTES;
			if (i == 0 || i == 3 || i == 5)
				ref->buf = b;
			else
				buf_at(&pool, want)->next = b;
			want = b;
			ref->len += BUF_SMALL_BYTES;
		}
		s->d.ooo.n = 1;
		s->d.ooo.seg[0].seq = seq_add(s->d.rcv_nxt, 5000);
		x.l.list.pool = &pool;
		tree_offload(w, &x);
		if (small + 1 < 3)
			expect(&x, x.conn, STATUS_NO_SEND_BUFFERS, 0);
		else if (small + 1 < 6)
			expect(&x, x.conn, STATUS_NO_RECEIVE_BUFFERS, 0);
		else
			assert_int_equal(block_at(&x.l.list, x.conn)->status, STATUS_OK);
		assert_int_equal(pool.n_free[BUF_SMALL], 32 - 6); /* still the caller's */
		tree_upload(w, &x);
		buf_put(target_pool(w->t), hold);
		world_is_empty(w);
		zeroed_free(mem);
		world_free(w);
	}
}

/* Paused: refused at the door, and the host is told when it may ask again */
static void paused(void **state)
{
	struct world *w = world_make(NULL, false);
	struct tree x;

	target_pause(w->t);
	target_pause(w->t);
	tree_make(&x, 0);
	assert_int_equal(call_offload(w, &x.l), -EBUSY);
	target_resume(w->t);
	target_poll_events(w->t, w->now);
	assert_int_equal(host_count(w, IND_PAUSE), 1);
	assert_int_equal(host_count(w, IND_RESUME), 1);
	assert_int_equal(call_offload(w, &x.l), 0);
	assert_int_equal(block_at(&x.l.list, x.conn)->status, STATUS_OK);
	tree_upload(w, &x);
	world_is_empty(w);
	world_free(w);
}

/* A 4-tuple twice: the second is refused and the first lives on */
static void the_same_connection_twice(void **state)
{
	struct world *w = world_make(NULL, false);
	struct tree x;
	u32 again;

	tree_make(&x, 0);
	again = list_new(&x.l, x.path, LAYER_TCP, 0);
	tree_offload(w, &x);
	/* Children are put in front: the one that was added last comes first. */
	assert_int_equal(block_at(&x.l.list, again)->status, STATUS_OK);
	expect(&x, x.conn, STATUS_FAILED, EEXIST);
	x.conn = again;
	tree_upload(w, &x);
	world_is_empty(w);
	world_free(w);
}

/* The same with payload of another pool: the copies are given back */
static void a_copy_that_was_for_nothing(void **state)
{
	struct world *w = world_make(NULL, false);
	struct buf_pool_config other = {.small = 4, .large = 1};
	void *mem = zeroed(4096, buf_pool_bytes(&other));
	struct buf_pool pool;
	struct tree x;
	u32 again, b;

	buf_pool_init(&pool, mem, &other);
	tree_make(&x, 0);
	again = list_new(&x.l, x.path, LAYER_TCP, 0);
	b = buf_alloc(&pool, BUF_SMALL);
	buf_at(&pool, b)->len = 100;
	tree_tcp(&x)->d.recv = (struct data_ref){b, 0, 100};
	x.l.list.pool = &pool;
	tree_offload(w, &x);
	expect(&x, x.conn, STATUS_FAILED, EEXIST);
	x.conn = again;
	tree_upload(w, &x);
	world_is_empty(w);
	zeroed_free(mem);
	world_free(w);
}

/* A port that no lane has; a connection of a one-phase offload without its DELEGATED part */
static void nonsense(void **state)
{
	struct tree x;

	tree_make(&x, 0);
	tree_neighbor(&x)->k.port = TCP_PORTS_MAX;
	refused(NULL, &x, x.neighbor, STATUS_FAILED, TCP_PORTS_MAX);
	tree_make(&x, 0);
	block_at(&x.l.list, x.conn)->flags &= (u8)~BLOCK_DELEGATED;
	refused(NULL, &x, x.conn, STATUS_MALFORMED, BLOCK_RULE_ROLE);
}

/* R16: what is free is told as it is now */
static void capabilities_follow(void **state)
{
	struct world *w = world_make(NULL, false);
	struct capabilities before = caps_of(w), c;

	assert_int_equal(before.free_connections, before.max_connections);
	assert_int_equal(before.features & FEATURE_REGISTERED_BUFFERS, 0);
	assert_int_equal(before.features & FEATURE_CUBIC, FEATURE_CUBIC);
	world_offload(w, 0, 16);
	c = caps_of(w);
	assert_int_equal(c.free_connections, before.free_connections - 16);
	assert_int_equal(c.free_paths, before.free_paths - 2);
	assert_int_equal(c.free_neighbors, before.free_neighbors - 1);
	assert_int_equal(c.free_addresses, before.free_addresses - 1);
	assert_int_equal(c.free_macs, before.free_macs - 1);
	assert_int_equal(c.free_vlans, before.free_vlans - 1);
	assert_true(c.bytes_per_connection > 0 && c.bytes_per_connection <= 1024);
	world_free(w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(connections),
		cmocka_unit_test(paths),
		cmocka_unit_test(neighbors),
		cmocka_unit_test(addresses),
		cmocka_unit_test(macs),
		cmocka_unit_test(vlans),
		cmocka_unit_test(receive_buffers),
		cmocka_unit_test(send_buffers),
		cmocka_unit_test(per_connection_pool),
		cmocka_unit_test(windows),
		cmocka_unit_test(mtu),
		cmocka_unit_test(vlan_depth),
		cmocka_unit_test(features),
		cmocka_unit_test(list_length),
		cmocka_unit_test(posted_buffers_asked_for),
		cmocka_unit_test(posted_buffers),
		cmocka_unit_test(allocation_fails_at_each_point),
		cmocka_unit_test(paused),
		cmocka_unit_test(the_same_connection_twice),
		cmocka_unit_test(a_copy_that_was_for_nothing),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(capabilities_follow),
	};

	return RUN_TESTS(tests);
}
