/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * An IPsec chimney under a TCP chimney (R20): software targets, each with a driver in front of it,
 * on a wire that loses, repeats and overtakes. Connections and associations move between two of
 * them while the third is the peer, keys change, and every byte is right.
 */
#include "target_util.h"

#include "ipsec_net.h"

enum {
	CONNS = 6,
	ROUNDS = 160,
	SENDING = 120, /* rounds in which something is sent */
	PEER = 2,
	ENDS = 3,
	PIECE = 3000,
};

/* A target with a driver. */
struct stack {
	struct world *w;
	struct net_end sec; /* driver, store of keys; its fake device is not used */
	void *mem;
	handle out, in;
	u32 longest; /* packet that left */
};

struct net {
	struct net_how how;
	struct stack s[ENDS];
	u32 key;     /* number of the test key in use */
	u32 at;      /* which of the two has everything */
	u32 frames;  /* on the wire so far */
	u32 dropped; /* by the wire */
	struct net_frame late;
};

static void stack_make(struct stack *s, struct net *n, u32 side)
{
	struct ipsec_policy policy = net_policy(&n->how, side);
	struct ipsec_config config;

	s->w = world_make(NULL, false);
	/* Again, with superframes and with checksums that are looked at. */
	s->w->config.engine.ports[0] =
		(struct tcp_port_caps){.gso_max_bytes = 60000, .tx_csum = true};
	assert_int_equal(target_init(s->w->t, s->w->arena, &s->w->config), 0);
	target_attach_host(s->w->t, (struct host_side){&fake_host_ops, &s->w->host});
	target_set_time(s->w->t, s->w->now);
	s->w->dev = target_device(s->w->t);
	assert_int_equal(crypto_create(64, &s->sec.crypto), 0);
	config = net_config(&s->sec);
	config.pool = target_pool(s->w->t);
	s->mem = zeroed(64, ipsec_bytes(&config));
	assert_int_equal(ipsec_init(s->mem, &config, &s->sec.d), 0);
	target_usage(s->w->t, &s->w->empty); /* but for the driver's buffers */
	assert_int_equal(ipsec_insert(s->sec.d, &s->w->dev), 0);
	policy.selector.local_bits = policy.selector.remote_bits = 8; /* all of 10.0.0.0/8 */
	assert_int_equal(ipsec_set_policies(s->sec.d, &policy, 1), 0);
}

static void stack_free(struct stack *s)
{
	world_is_empty(s->w);
	assert_int_equal(ipsec_remove(s->sec.d), 0);
	ipsec_finish(s->sec.d);
	crypto_destroy(s->sec.crypto);
	zeroed_free(s->mem);
	world_free(s->w);
}

/* `from` is the side that the packets come from: 0 the two, 1 the peer. */
static struct ipsec_sa_state wide_sa(struct net *n, struct stack *s, u32 side, u32 from, u32 key)
{
	struct ipsec_sa_state sa = net_sa(&n->how, side, from, 0x1000 + from, 0);

	sa.inner_local_bits = sa.inner_remote_bits = 8;
	sa.key = net_key(&s->sec, n->how.suite, key);
	return sa;
}

static void associations(struct net *n, u32 i)
{
	struct ipsec_sa_state sa;
	u32 side = i == PEER;

	sa = wide_sa(n, &n->s[i], side, side, 0);
	n->s[i].out = net_sa_add(&n->s[i].sec, &sa);
	sa = wide_sa(n, &n->s[i], side, !side, 0);
	n->s[i].in = net_sa_add(&n->s[i].sec, &sa);
}

/* Takes an association over to the other stack: numbers, window and counts come along. */
static handle move_sa(struct net *n, u32 from, u32 to, handle h, bool in)
{
	struct ipsec_sa_state have = net_sa_query(&n->s[from].sec, h);
	struct ipsec_sa_state moved = net_sa_upload(&n->s[from].sec, h, false);
	const struct schema_layer *layer = ipsec_schema.layer[LAYER_SA];

	schema_apply(layer, CLASS_DELEGATED, UINT64_MAX, &have, &moved);
	have.key = net_key(&n->s[to].sec, n->how.suite, n->key);
	assert_int_equal(have.direction, in ? IPSEC_IN : IPSEC_OUT);
	return net_sa_add(&n->s[to].sec, &have);
}

/* -- connections --------------------------------------------------------------------------------
 */

/* The list that names the peer's half: ends exchanged. */
static void turn_list(struct test_list *l)
{
	for (u32 i = 0; i < l->list.n_blocks; i++) {
		struct block *b = block_at(&l->list, i);

		if (b->layer == LAYER_PATH) {
			struct path_state *p = block_path(&l->list, b);
			struct ip_addr local = p->k.local_addr;

			p->k.local_addr = p->k.remote_addr;
			p->k.remote_addr = local;
		} else if (b->layer == LAYER_TCP) {
			state_tcp_peer(block_tcp(&l->list, b), (u32)(b->host - CONN_HOST));
		}
	}
}

static void offload_list(struct world *w, struct test_list *l)
{
	assert_int_equal(call_offload(w, l), 0);
	assert_int_equal(offload_list_count(&l->list, STATUS_OK), l->list.n_blocks);
	/* What protection adds shows below the driver only. */
	for (u32 i = 0; i < l->list.n_blocks; i++) {
		struct block *b = block_at(&l->list, i);

		if (b->layer == LAYER_PATH)
			assert_int_equal(block_path(&l->list, b)->c.path_mtu, 1500);
	}
	world_note(w, l);
}

static void offload_all(struct world *w, bool peer)
{
	struct test_list l = {0};

	list_make(&l, 3 * CONNS);
	list_tree(w, &l, 0, CONNS);
	if (peer)
		turn_list(&l);
	offload_list(w, &l);
	list_free(&l);
}

static void flush(struct net *n, u32 i);

static void upload_list(struct net *n, u32 i, struct test_list *up)
{
	struct world *w = n->s[i].w;
	u32 before = w->host.completed;

	list_make(up, 3 * CONNS);
	list_upload(w, up, 0, CONNS, true);
	assert_int_equal(call_upload(w, up), 0);
	for (u32 k = 0; k < 16 && w->host.completed == before; k++) {
		flush(n, i);
		w->dev.frames->events(w->dev.impl, w->now);
	}
	assert_int_equal(w->host.completed, before + 1);
}

static struct tcp_state *state_of(struct test_list *l, handle host, handle device)
{
	for (u32 i = 0; i < l->list.n_blocks; i++) {
		struct block *b = block_at(&l->list, i);

		if (b->layer == LAYER_TCP && (device ? b->device == device : b->host == host))
			return block_tcp(&l->list, b);
	}
	fail();
	return NULL;
}

static void move_all(struct net *n)
{
	struct stack *from = &n->s[n->at], *to = &n->s[!n->at];
	struct test_list up = {0}, down = {0};

	upload_list(n, n->at, &up);
	list_make(&down, 3 * CONNS);
	memset(to->w->paths, 0, sizeof(to->w->paths));
	memset(to->w->neighbors, 0, sizeof(to->w->neighbors));
	list_tree(to->w, &down, 0, CONNS);
	for (u32 i = 0; i < CONNS; i++)
		state_of(&down, CONN_HOST + i, 0)->d = state_of(&up, 0, from->w->conns[i])->d;
	down.list.pool = up.list.pool;
	to->w->now = from->w->now;
	to->w->dev.frames->set_time(to->w->dev.impl, to->w->now);
	offload_list(to->w, &down);
	from->w->dev.ops->commit(from->w->dev.impl, &up.request);
	to->out = move_sa(n, n->at, !n->at, from->out, false);
	to->in = move_sa(n, n->at, !n->at, from->in, true);
	world_is_empty(from->w);
	list_free(&up);
	list_free(&down);
	n->at = !n->at;
}

/* -- the wire -----------------------------------------------------------------------------------
 */

static void deliver(struct stack *s, const u8 *p, u32 len)
{
	struct buf_pool *pool = target_pool(s->w->t);
	struct rx_frame f = {.buf = buf_alloc(pool, BUF_SMALL), .len = len};

	if (f.buf == NIL)
		return;
	buf_at(pool, f.buf)->len = len;
	memcpy(buf_data(pool, f.buf), p, len);
	s->w->dev.frames->input(s->w->dev.impl, &f, 1, s->w->now);
	if (f.verdict != FRAME_CONSUMED)
		buf_put_chain(pool, f.buf);
}

/* Every 41st frame is lost, every 29th comes twice, every 17th is overtaken by the next. */
static void carry(struct net *n, u32 from, const struct tx_frame *f)
{
	struct stack *to = from == PEER ? &n->s[n->at] : &n->s[PEER];
	struct net_frame o;

	o.len = frame_gather(target_pool(n->s[from].w->t), f, o.b);
	assert_int_equal(f->gso_bytes, 0);
	assert_int_equal(wire_get16(o.b + 12), WIRE_ETH_IP4);
	assert_int_equal(o.b[23], n->how.protocol); /* nothing leaves in the clear */
	n->s[from].longest = max_of(n->s[from].longest, o.len - 14);
	n->frames++;
	if (n->frames % 41 == 0) {
		n->dropped++;
		return;
	}
	if (n->frames % 17 == 0 && from == n->at) {
		deliver(to, n->late.b, n->late.len);
		n->late = o;
		return;
	}
	deliver(to, o.b, o.len);
	if (n->frames % 29 == 0)
		deliver(to, o.b, o.len);
}

static void flush(struct net *n, u32 i)
{
	struct world *w = n->s[i].w;
	struct tx_batch tx = {.frames = w->tx, .cap = TX_MAX};
	bool more = true;

	while (more) {
		tx.n = 0;
		more = w->dev.frames->flush(w->dev.impl, &tx, w->now);
		for (u32 k = 0; k < tx.n; k++)
			carry(n, i, &w->tx[k]);
	}
}

static void turn(struct net *n, u64 ns)
{
	const u32 ends[2] = {n->at, PEER};

	for (u32 i = 0; i < 2; i++) {
		struct world *w = n->s[ends[i]].w;

		w->now += ns;
		w->dev.frames->set_time(w->dev.impl, w->now);
		w->dev.frames->timers(w->dev.impl, w->now);
		(void)w->dev.frames->events(w->dev.impl, w->now);
		flush(n, ends[i]);
		host_forget(w);
	}
}

/* -- streams ------------------------------------------------------------------------------------
 */

struct streams {
	u64 sent[2][CONNS], got[2][CONNS];
};

static void pump(struct net *n, struct streams *t, u32 round)
{
	static u8 buf[PIECE];
	const u32 ends[2] = {n->at, PEER};

	for (u32 e = 0; e < 2; e++) {
		struct world *w = n->s[ends[e]].w;

		for (u32 i = 0; i < CONNS; i++) {
			s64 k;

			stream_fill(buf, t->sent[e][i], PIECE);
			k = round < SENDING ? do_send(w, i, buf, 1 + (round * 37 + i * 211) % PIECE,
			                              SEND_BUFFERED, 0)
			                    : 0;
			t->sent[e][i] += k > 0 ? (u64)k : 0;
			while ((k = do_recv(w, i, buf, PIECE, RECV_NOW, 0)) > 0) {
				stream_check(buf, t->got[!e][i], (u32)k);
				t->got[!e][i] += (u64)k;
			}
		}
	}
}

static void new_keys(struct net *n)
{
	struct stack *a = &n->s[n->at], *b = &n->s[PEER];
	struct ipsec_sa_state s;

	n->key++;
	/* Receivers first. */
	s = wide_sa(n, b, 1, 0, n->key);
	assert_int_equal(net_sa_update(&b->sec, b->in, &s), STATUS_OK);
	s = wide_sa(n, a, 0, 1, n->key);
	assert_int_equal(net_sa_update(&a->sec, a->in, &s), STATUS_OK);
	s = wide_sa(n, a, 0, 0, n->key);
	assert_int_equal(net_sa_update(&a->sec, a->out, &s), STATUS_OK);
	s = wide_sa(n, b, 1, 1, n->key);
	assert_int_equal(net_sa_update(&b->sec, b->out, &s), STATUS_OK);
}

static void streams(const struct net_how *how)
{
	struct net *n = zeroed(64, sizeof(*n));
	struct streams t = {0};
	const struct ipsec_counters *c;

	n->how = *how;
	for (u32 i = 0; i < ENDS; i++)
		stack_make(&n->s[i], n, i == PEER);
	associations(n, 0);
	associations(n, PEER);
	offload_all(n->s[0].w, false);
	offload_all(n->s[PEER].w, true);
	for (u32 round = 0; round < ROUNDS; round++) {
		pump(n, &t, round);
		for (u32 k = 0; k < (round < SENDING ? 2 : 20); k++)
			turn(n, round % 2 ? 200 * NS_PER_US : 5 * NS_PER_MS);
		if (round % 20 == 10)
			move_all(n);
		if (round == 55)
			new_keys(n);
	}
	for (u32 i = 0; i < CONNS; i++) {
		assert_int_equal(t.got[0][i], t.sent[0][i]);
		assert_int_equal(t.got[1][i], t.sent[1][i]);
		assert_true(t.sent[0][i] > 50000 && t.sent[1][i] > 50000);
	}
	assert_true(n->dropped > 20);
	c = ipsec_counters(n->s[PEER].sec.d);
	assert_true(c->drops[IPSEC_DROP_REPLAYED] > 10);
	assert_int_equal(c->drops[IPSEC_DROP_TOO_LONG] + c->drops[IPSEC_DROP_FORGED], 0);
	assert_true(c->cut > 10);
	/* The connections use what the path has left for them. */
	assert_in_range(n->s[PEER].longest, 1500 - 31, 1500);
	world_upload(n->s[n->at].w, 0, CONNS, true);
	world_upload(n->s[PEER].w, 0, CONNS, true);
	for (u32 i = 0; i < ENDS; i++)
		stack_free(&n->s[i]);
	zeroed_free(n);
}

static void tunnel_of_gcm(void **state)
{
	streams(&(struct net_how){WIRE_IPPROTO_ESP, IPSEC_TUNNEL, CIPHER_AES_128_GCM, .esn = true});
}

static void tunnel_of_cbc(void **state)
{
	streams(&(struct net_how){WIRE_IPPROTO_ESP, IPSEC_TUNNEL, CIPHER_AES_128_CBC_HMAC_SHA_256});
}

static void tunnel_of_ah(void **state)
{
	streams(&(struct net_how){WIRE_IPPROTO_AH, IPSEC_TUNNEL, CIPHER_HMAC_SHA_256});
}

static int ask_below(struct stack *s, struct test_list *l)
{
	struct device below = target_device(s->w->t);

	return below.layer[LAYER_PATH]->query(below.impl, &l->request);
}

/* R20: the path MTU is lowered at an update too, and a query shows what the host had set. */
static void path_mtu_passes(void **state)
{
	static struct net n = {.how = {WIRE_IPPROTO_ESP, IPSEC_TUNNEL, CIPHER_AES_256_GCM}};
	struct stack *s = &n.s[0];
	struct test_list l = {0};
	struct path_state *p;
	struct block *b;
	u32 index;

	stack_make(s, &n, 0);
	offload_all(s->w, false);
	for (u32 round = 0; round < 2; round++) {
		memset(&l, 0, sizeof(l));
		list_make(&l, 4);
		index = list_placeholder(&l, NIL, LAYER_NEIGHBOR);
		index = list_named(&l, index, LAYER_PATH, s->w->paths[0], true);
		b = block_at(&l.list, index);
		p = block_path(&l.list, b);
		b->flags = BLOCK_CACHED;
		if (round) {
			p->c.path_mtu = 1300;
			assert_int_equal(call_layer(s->w, &l, BLOCK_CALL_UPDATE, LAYER_PATH), 0);
			assert_int_equal(b->status, STATUS_OK);
			assert_int_equal(p->c.path_mtu, 1300);
			p->c.path_mtu = 0;
		}
		assert_int_equal(call_layer(s->w, &l, BLOCK_CALL_QUERY, LAYER_PATH), 0);
		assert_int_equal(p->c.path_mtu, round ? 1300 : 1500);
		/* Below the driver it is less by an outer header, ESP, its IV, padding and ICV. */
		assert_int_equal(ask_below(s, &l), 0);
		assert_int_equal(p->c.path_mtu, (round ? 1300 : 1500) - 20 - 8 - 8 - 5 - 16);
		list_free(&l);
	}
	world_upload(s->w, 0, CONNS, true);
	stack_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tunnel_of_gcm),
		cmocka_unit_test(tunnel_of_cbc),
		cmocka_unit_test(tunnel_of_ah),
		cmocka_unit_test(path_mtu_passes),
	};

	return RUN_TESTS(tests);
}
