// SPDX-License-Identifier: BSD-2-Clause-Patent
/* R93, R94, R102 to R104, R115, R118: virtual devices by tags. */
#include "vlan_lan.h"

#include "driver/filter/fault.h"
#include "state/binary.h"
#include "state/json.h"

static struct lan *lan_make(const struct vlan_config *config)
{
	struct target_config unlike = {.connections = 1024};
	struct lan *l = zeroed(64, sizeof(*l));

	l->w = world_make(&unlike, true);
	l->config = *config;
	return l;
}

static void lan_free(struct lan *l)
{
	world_is_empty(l->w);
	zeroed_free(l->v);
	world_free(l->w);
	zeroed_free(l);
}

static void offload_all(struct lan *l)
{
	for (u32 vlan = 0; vlan < l->config.n; vlan++)
		if (!l->w->conns[vlan * PER_VLAN])
			LAN_ON(l, vlan, world_offload(l->w, vlan * PER_VLAN, TALKING));
}

static void upload_all(struct lan *l, u32 first)
{
	for (u32 vlan = first; vlan < l->config.n; vlan++)
		LAN_ON(l, vlan, world_upload(l->w, vlan * PER_VLAN, TALKING, true));
}

static struct vlan_config every_kind(void)
{
	struct vlan_config c = {.n = 9};

	c.device[1].tags = lan_tags(1, Q | 10, 0);
	c.device[2].tags = lan_tags(1, Q | 5 << 13 | 20, 0); /* with a priority */
	c.device[3].tags = lan_tags(1, AD | 10, 0);
	c.device[4].tags = lan_tags(2, AD | 10, Q | 10);
	c.device[5].tags = lan_tags(2, AD | 10, Q | 20);
	c.device[6].tags = lan_tags(2, AD | 20, Q | 10);
	c.device[7].tags = lan_tags(2, Q | 10, Q | 10);
	c.device[8].tags = lan_tags(2, Q | 10, Q | 3 << 13 | 20);
	return c;
}

/* What the host of one virtual device may not do with an object of another. */
static void foreign_calls(struct lan *l, u32 vlan, u32 conn)
{
	struct test_list q = {0};
	u8 byte = 1;
	s64 n = 0;

	list_make(&q, 4);
	(void)list_named(
		&q, list_placeholder(&q, list_placeholder(&q, NIL, LAYER_NEIGHBOR), LAYER_PATH),
		LAYER_TCP, l->w->conns[conn], true);
	LAN_ON(l, vlan, (void)!call_layer(l->w, &q, BLOCK_CALL_QUERY, LAYER_TCP));
	if (vlan) {
		assert_int_equal(block_at(&q.list, 2)->status, STATUS_STALE_HANDLE);
		LAN_ON(l, vlan, n = do_send(l->w, conn, &byte, 1, SEND_BUFFERED, 0));
		assert_int_equal(n, -ESTALE);
		LAN_ON(l, vlan, n = do_recv(l->w, conn, &byte, 1, RECV_NOW, 0));
		assert_int_equal(n, -ESTALE);
	}
	list_free(&q);
}

/* R104: every pair of stacks. Nothing of one is taken for another, whatever its tags. */
static void every_pair_is_isolated(void **state)
{
	struct vlan_config config = every_kind();
	struct lan *l = lan_make(&config);
	struct vlan_stack unknown = lan_tags(1, Q | 99, 0);

	lan_insert(l);
	offload_all(l);
	lan_talk(l, 700);
	lan_hear_all(l);
	assert_int_equal(l->not_taken, 0);
	for (u32 a = 0; a < config.n; a++) {
		for (u32 b = 0; b <= config.n; b++) {
			u32 conn = a * PER_VLAN, frames;
			u8 byte = stream_byte(l->peer_sent[conn]);

			if (a == b)
				continue;
			l->not_taken = 0;
			l->disguise = b < config.n ? &config.device[b].tags : &unknown;
			l->w->now += 10 * NS_PER_S; /* nothing is left to be acknowledged */
			l->peer_sent[conn] +=
				(u64)tcp_send(l->w->peer, l->w->peer_conn[conn], &byte, 1);
			frames = lan_from_peer(l);
			assert_true(frames > 0);
			assert_int_equal(l->not_taken, frames);
			l->disguise = NULL;
			if (b < config.n)
				foreign_calls(l, b, conn);
			lan_hear_all(l);
		}
	}
	upload_all(l, 0);
	assert_int_equal(vlan_remove(l->v), 0);
	lan_free(l);
}

/* R118, R102: put in front of live connections, which go on, and taken out when the rest is gone.
 */
static void inserted_while_connections_live(void **state)
{
	struct vlan_config config = every_kind();
	struct lan *l = lan_make(&config);
	struct capabilities caps;
	struct device virtual;

	l->config.n = 1; /* for now */
	world_offload(l->w, 0, TALKING);
	lan_talk(l, 900);
	lan_step(l, 100 * NS_PER_US);
	l->config.n = config.n;
	lan_insert(l);
	lan_talk(l, 300);
	lan_hear_all(l);
	offload_all(l);
	virtual = lan_device(l, 4);
	virtual.ops->capabilities(virtual.impl, &caps);
	assert_int_equal(caps.vlan_depth, 0);
	assert_false(caps.features & FEATURE_VLAN);
	lan_talk(l, 300);
	assert_int_equal(vlan_remove(l->v), -EBUSY);
	lan_hear_all(l);
	upload_all(l, 1);
	assert_int_equal(vlan_remove(l->v), 0);
	l->config.n = 1;
	assert_ptr_equal(l->w->dev.impl, l->w->t);
	(void)l->w->dev.ops->attach(l->w->dev.impl,
	                            (struct host_side){&fake_host_ops, &l->w->host});
	lan_talk(l, 300);
	lan_hear_all(l);
	world_upload(l->w, 0, TALKING, true);
	lan_free(l);
}

/* -- lists ------------------------------------------------------------------------------------- */

/* Between two VLAN drivers: what the list looks like there. */
struct spy {
	struct device_chain chain;
	struct device_ops ops;
	u32 seen, vendor;
	struct vlan_stack field;
	struct block_insert insert;
};

static int spy_offload(void *impl, struct offload_request *request)
{
	struct spy *s = impl;
	const struct block_list *list = request->list;

	s->seen++;
	s->field = list->neighbors[0].k.vlans;
	for (u32 i = 0; i < list->n_inserts; i++) {
		if (list->inserts[i].kind == BLOCK_INSERT_VLAN)
			s->insert = list->inserts[i];
		else
			s->vendor++;
	}
	return s->chain.below.ops->offload(s->chain.below.impl, request);
}

static void spy_insert(struct spy *s, struct device *hook)
{
	struct device own = {.data = &data_pass_ops, .frames = &frame_pass_ops, .impl = s};

	s->ops = device_pass_ops;
	s->ops.offload = spy_offload;
	own.ops = &s->ops;
	for (u32 i = 0; i < LAYERS; i++)
		own.layer[i] = layer_pass_ops[i];
	assert_int_equal(device_insert(&s->chain, hook, own, (struct host_side){&host_pass_ops, s}),
	                 0);
}

/* Everything but what the device has to write is as it was. */
static void comes_back(const struct test_list *before, const struct test_list *after)
{
	for (u32 i = 0; i < before->list.n_blocks; i++) {
		struct block a = *block_at(&before->list, i), b = *block_at(&after->list, i);

		assert_int_equal(b.status, STATUS_OK);
		b.status = a.status;
		b.device = a.device;
		assert_memory_equal(&a, &b, sizeof(a));
	}
	assert_int_equal(after->list.n_inserts, before->list.n_inserts);
	assert_ptr_equal(after->list.inserts, before->list.inserts);
	assert_int_equal(after->list.cap_inserts, before->list.cap_inserts);
	for (u32 i = 0; i < before->list.n_neighbors; i++) {
		struct neighbor_const a = before->list.neighbors[i].k;
		struct neighbor_const b = after->list.neighbors[i].k;

		assert_int_equal(a.vlans.n, b.vlans.n);
		assert_memory_equal(a.vlans.tag, b.vlans.tag, a.vlans.n * 4);
		assert_memory_equal(&a.source_mac, &b.source_mac, sizeof(a.source_mac));
	}
}

static void query_shows_no_tags(struct lan *l, u32 vlan)
{
	struct test_list q = {0};
	u32 at;

	list_make(&q, 4);
	at = list_named(&q, NIL, LAYER_NEIGHBOR, l->w->neighbors[vlan], true);
	block_at(&q.list, at)->flags = BLOCK_CONST | BLOCK_CACHED;
	LAN_ON(l, vlan,
	       assert_int_equal(call_layer(l->w, &q, BLOCK_CALL_QUERY, LAYER_NEIGHBOR), 0));
	assert_int_equal(block_at(&q.list, at)->status, STATUS_OK);
	assert_int_equal(q.list.neighbors[0].k.vlans.n, 0);
	assert_int_equal(q.list.n_inserts, 0);
	list_free(&q);
}

static void offload_and_compare(struct lan *l, u32 vlan, struct block_insert *vendor)
{
	struct test_list sent = {0}, kept = {0};
	struct world *w = l->w;

	list_make(&sent, 3 * PER_VLAN);
	list_make(&kept, 3 * PER_VLAN);
	list_tree(w, &sent, vlan * PER_VLAN, TALKING);
	list_tree(w, &kept, vlan * PER_VLAN, TALKING);
	sent.list.inserts = kept.list.inserts = vendor;
	sent.list.n_inserts = sent.list.cap_inserts = 1;
	kept.list.n_inserts = kept.list.cap_inserts = 1;
	LAN_ON(l, vlan, assert_int_equal(call_offload(w, &sent), 0));
	comes_back(&kept, &sent);
	world_note(w, &sent);
	world_peers(w, vlan * PER_VLAN, TALKING);
	list_free(&sent);
	list_free(&kept);
}

/* R93: both forms; R94: the host's list comes back as it went, a vendor's part included. */
static void both_forms(void **state)
{
	struct vlan_config config = {.n = 3},
			   lower = {.n = 1, .id = 9, .objects = 256, .list_blocks = 256};
	struct block_insert vendor = {.kind = BLOCK_INSERT_VENDOR + 3, .len = 5, .bytes = "abcd"};
	struct block_insert copy = vendor;
	struct spy *spy = zeroed(64, sizeof(*spy));
	struct lan *l;
	struct vlan *under;

	config.device[1] = (struct vlan_device_config){lan_tags(1, Q | 77, 0), VLAN_FIELD};
	config.device[2] = (struct vlan_device_config){lan_tags(2, AD | 7, Q | 78), VLAN_INSERT};
	l = lan_make(&config);
	lower.pool = target_pool(l->w->t);
	under = vlan_init(zeroed(64, vlan_bytes(&lower)), &lower);
	assert_non_null(under);
	assert_int_equal(vlan_insert(under, &l->w->dev), 0);
	spy_insert(spy, &l->w->dev);
	lan_insert(l);
	world_offload(l->w, 0, TALKING);
	offload_and_compare(l, 1, &vendor);
	assert_int_equal(spy->field.n, 1);
	assert_int_equal(spy->field.tag[0], Q | 77);
	assert_int_equal(spy->insert.len, 0);
	offload_and_compare(l, 2, &vendor);
	assert_int_equal(spy->field.n, 0);
	assert_int_equal(spy->insert.len, 8);
	assert_int_equal(wire_get32(spy->insert.bytes), AD | 7);
	assert_int_equal(wire_get32(spy->insert.bytes + 4), Q | 78);
	assert_int_equal(spy->vendor, 2);
	assert_memory_equal(&vendor, &copy, sizeof(vendor));
	lan_talk(l, 800); /* the tags on the wire are looked at */
	lan_hear_all(l);
	assert_int_equal(l->not_taken, 0);
	query_shows_no_tags(l, 1);
	query_shows_no_tags(l, 2);
	upload_all(l, 0);
	assert_int_equal(vlan_remove(l->v), 0);
	assert_int_equal(device_remove(&spy->chain), 0);
	assert_int_equal(vlan_remove(under), 0);
	zeroed_free(under);
	zeroed_free(spy);
	lan_free(l);
}

/* A host's own tags go behind ours, where there is room and they make it nobody else's. */
static void tags_of_a_host(void **state)
{
	static const struct {
		u32 vlan, n, tag, status;
	} cases[] = {
		{0, 1, Q | 5, STATUS_OK},
		{0, 1, Q | 10, STATUS_VLAN_MISMATCH}, /* virtual device 1 */
		{3, 1, Q | 10, STATUS_VLAN_MISMATCH}, /* virtual device 4 */
		{3, 1, Q | 11, STATUS_OK},
		{4, 1, Q | 11, STATUS_VLAN_MISMATCH}, /* a third tag */
	};
	struct vlan_config config = every_kind();
	struct lan *l = lan_make(&config);

	lan_insert(l);
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct test_list o = {0};
		struct neighbor_state *n;

		list_make(&o, 4);
		(void)list_new(&o, NIL, LAYER_NEIGHBOR, i);
		n = &o.list.neighbors[0];
		n->k.vlans = lan_tags(cases[i].n, cases[i].tag, 0);
		LAN_ON(l, cases[i].vlan, assert_int_equal(call_offload(l->w, &o), 0));
		assert_int_equal(block_at(&o.list, 0)->status, cases[i].status);
		assert_int_equal(n->k.vlans.n, cases[i].n);
		assert_int_equal(n->k.vlans.tag[0], cases[i].tag);
		assert_int_equal(block_at(&o.list, 0)->host, NEIGHBOR_HOST + i);
		if (cases[i].status == STATUS_OK) {
			struct test_list u = {0};

			list_make(&u, 4);
			(void)list_named(&u, NIL, LAYER_NEIGHBOR, block_at(&o.list, 0)->device,
			                 true);
			LAN_ON(l, cases[i].vlan, assert_int_equal(call_upload(l->w, &u), 0));
			LAN_ON(l, cases[i].vlan, l->w->dev.ops->commit(l->w->dev.impl, &u.request));
			list_free(&u);
		}
		list_free(&o);
	}
	assert_int_equal(vlan_remove(l->v), 0);
	lan_free(l);
}

/* Lists that nobody has checked, because a driver below answered before the device saw them. */
static void lists_that_are_broken(void **state)
{
	struct vlan_config config = {.n = 2};
	struct fault_config none = {0};
	struct fault *f = zeroed(64, sizeof(*f));
	struct lan *l;

	config.device[1].tags = lan_tags(1, Q | 5, 0);
	l = lan_make(&config);
	assert_int_equal(fault_insert(f, &none, &l->w->dev), 0);
	lan_insert(l);
	for (u32 i = 0; i < 6; i++) {
		struct test_list o = {0};
		struct block *b;

		list_make(&o, 4);
		(void)list_new(&o, NIL, LAYER_NEIGHBOR, 0);
		b = block_at(&o.list, 0);
		b->device = i < 3 ? 77 : HANDLE_NONE;
		if (i % 3 == 0)
			b->next = 0;
		else if (i % 3 == 1)
			b->dependent = 1000000;
		else
			b->state = 1000000;
		assert_int_equal(fault_fail(f, FILTER_OFFLOAD, 1, STATUS_DEVICE_FAILED), 0);
		LAN_ON(l, i / 3, assert_int_equal(call_offload(l->w, &o), 0));
		assert_int_equal(b->status, i < 3 ? STATUS_DEVICE_FAILED : STATUS_MALFORMED);
		list_free(&o);
	}
	assert_int_equal(vlan_remove(l->v), 0);
	assert_int_equal(fault_remove(f), 0);
	zeroed_free(f);
	lan_free(l);
}

static void configurations(void **state)
{
	static struct buf_pool pool;
	struct vlan_config good = every_kind(), bad;

	good.objects = 8;
	good.list_blocks = 8;
	good.id = 1;
	good.pool = &pool;
	assert_true(vlan_bytes(&good) > 0);
	bad = good;
	bad.device[0].tags = lan_tags(1, Q | 3, 0);
	assert_int_equal(vlan_bytes(&bad), 0);
	bad = good;
	bad.device[8].tags = lan_tags(1, Q | 7 << 13 | 10, 0); /* twice but for the priority */
	assert_int_equal(vlan_bytes(&bad), 0);
	bad = good;
	bad.device[1].tags = lan_tags(1, Q | 4095, 0);
	assert_int_equal(vlan_bytes(&bad), 0);
	bad = good;
	bad.id = 0;
	assert_int_equal(vlan_bytes(&bad), 0);
}

/* -- inserts in the two other forms of a list ----------------------------------------------------
 */

struct text {
	char s[65536];
	size_t len;
};

static int keep_text(void *context, const char *piece, size_t len)
{
	struct text *t = context;

	assert_true(t->len + len < sizeof(t->s));
	memcpy(t->s + t->len, piece, len);
	t->len += len;
	return 0;
}

static void same_inserts(const struct block_list *a, const struct block_list *b)
{
	assert_int_equal(a->n_inserts, b->n_inserts);
	for (u32 i = 0; i < a->n_inserts; i++)
		assert_memory_equal(&a->inserts[i], &b->inserts[i], sizeof(a->inserts[0]));
}

static void inserts_travel(void **state)
{
	struct block_insert own[3], got[3];
	struct test_list a = {0}, b = {0};
	static struct text text;
	static u8 form[16384];
	u64 bytes;

	list_make(&a, 8);
	list_make(&b, 8);
	(void)list_new(&a, NIL, LAYER_NEIGHBOR, 0);
	a.list.inserts = own;
	a.list.cap_inserts = 3;
	b.list.inserts = got;
	b.list.cap_inserts = 3;
	assert_int_equal(block_list_insert(&a.list, 0, BLOCK_INSERT_VLAN, "12345678", 8), 0);
	assert_int_equal(block_list_insert(&a.list, 0, 0xffff, form, BLOCK_INSERT_BYTES), 0);
	assert_int_equal(block_list_insert(&a.list, 0, 0x8001, form, 0), 0);
	assert_int_equal(block_list_insert(&a.list, 0, 0x8001, form, 0), -ENOSPC);
	assert_int_equal(block_list_insert(&a.list, 1, 0x8001, form, 0), -EINVAL);
	assert_int_equal(binary_encode(&a.list, form, sizeof(form), &bytes), 0);
	assert_int_equal(binary_decode(&b.list, form, bytes, NULL), 0);
	same_inserts(&a.list, &b.list);
	for (u64 cut = 0; cut < bytes; cut++) {
		block_list_reset(&b.list);
		assert_int_equal(binary_decode(&b.list, form, cut, NULL), -EBADMSG);
		assert_int_equal(b.list.n_inserts, 0);
	}
	assert_int_equal(json_write_list(&a.list, keep_text, &text), 0);
	assert_int_equal(json_read_list(&b.list, (u8 *)text.s, text.len, NULL), 0);
	same_inserts(&a.list, &b.list);
	block_list_reset(&b.list);
	b.list.cap_inserts = 2;
	assert_int_equal(json_read_list(&b.list, (u8 *)text.s, text.len, NULL), -EBADMSG);
	assert_int_equal(binary_decode(&b.list, form, bytes, NULL), -EBADMSG);
	list_free(&a);
	list_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_pair_is_isolated),
		cmocka_unit_test(inserted_while_connections_live),
		cmocka_unit_test(both_forms),
		cmocka_unit_test(tags_of_a_host),
		cmocka_unit_test(lists_that_are_broken),
		cmocka_unit_test(configurations),
		cmocka_unit_test(inserts_travel),
	};

	return RUN_TESTS(tests);
}
