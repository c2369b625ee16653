/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Each value that a state must not have, alone in a state that is otherwise good (R58). */
#include "forest.h"

#include "state/check.h"

enum {
	ALL = BLOCK_CONST | BLOCK_CACHED | BLOCK_DELEGATED,
};

static struct prng rng;

/* `change` makes a good state bad in class `cls`: refused where the class is looked at, and only
 * there. */
#define EXPECT_REFUSED(check, good, cls, change)      \
	do {                                          \
		__typeof__(good) s = (good);          \
                                                      \
		assert_null(check(&s, ALL));          \
		change;                               \
		assert_non_null(check(&s, ALL));      \
		assert_non_null(check(&s, cls));      \
		assert_null(check(&s, ALL & ~(cls))); \
	} while (0)

static void test_neighbor(void **state)
{
	struct neighbor_state good;

	forest_neighbor(&good, &rng, 1);
	good.k.vlans = (struct vlan_stack){2, {0x88a80001, 0x81000ffe}};
#define REFUSED(cls, change) EXPECT_REFUSED(state_check_neighbor, good, BLOCK_##cls, change)
	REFUSED(CONST, s.k.source_mac.b[0] |= 1);
	REFUSED(CONST, s.k.encapsulations |= 4);
	REFUSED(CONST, s.k.vlans.n = VLAN_DEPTH_MAX + 1);
	REFUSED(CONST, s.k.vlans.tag[0] = 0x08000001);
	REFUSED(CONST, s.k.vlans.tag[1] |= 0xfff);
	REFUSED(CACHED, s.c.next_hop_mac.b[0] = 0xff);
	REFUSED(CACHED, s.c.header_format = LINK_SNAP + 1);
#undef REFUSED
}

static void test_path(void **state)
{
	struct path_state v4 = {
		.k.local_addr.b = {[10] = 0xff, 0xff, 10, 0, 0, 1},
		.k.remote_addr.b = {[10] = 0xff, 0xff, 10, 0, 0, 2},
		.c.path_mtu = 68,
	};
	struct path_state v6 = {
		.k.local_addr.b = {0xfd, [15] = 1},
		.k.remote_addr.b = {0xfd, [15] = 2},
		.c.path_mtu = 1280,
	};

#define REFUSED(good, cls, change) EXPECT_REFUSED(state_check_path, good, BLOCK_##cls, change)
	REFUSED(v4, CONST, s.k.remote_addr = v6.k.remote_addr; s.c.path_mtu = 1500);
	REFUSED(v6, CONST, s.k.local_addr = v4.k.local_addr);
	REFUSED(v4, CONST, s.k.remote_addr.b[12] = 224);
	REFUSED(v4, CONST, s.k.local_addr.b[12] = 0);
	REFUSED(v6, CONST, s.k.remote_addr.b[0] = 0xff);
	REFUSED(v6, CONST, memset(&s.k.local_addr, 0, 16));
	REFUSED(v4, CONST, s.k.ip_id_confined = 2);
	REFUSED(v4, CACHED, s.c.path_mtu = 67);
	REFUSED(v4, CACHED, s.c.path_mtu = 65536);
#undef REFUSED
	v6.c.path_mtu =
		1279; /* the family is CONST: where that is not looked at, 68 is the limit */
	assert_non_null(state_check_path(&v6, ALL));
	assert_null(state_check_path(&v6, BLOCK_CACHED));
}

static void test_tcp(void **state)
{
	struct forest f = {.config.bytes = 0};
	struct tcp_state good;

	forest_tcp(&good, &rng, 1, &f);
	good.d.ooo.n = 1;
#define REFUSED(cls, change) EXPECT_REFUSED(state_check_tcp, good, BLOCK_##cls, change)
	REFUSED(CONST, s.k.local_port = 0);
	REFUSED(CONST, s.k.remote_port = 0);
	REFUSED(CONST, s.k.options |= 0x80);
	REFUSED(CONST, s.k.snd_wscale = 15);
	REFUSED(CONST, s.k.rcv_wscale = 15);
	REFUSED(CACHED, s.c.nodelay = 2);
	REFUSED(CACHED, s.c.cork = 2);
	REFUSED(CACHED, s.c.keepalive = 2);
	REFUSED(CACHED, s.c.restart_keepalive = 2);
	REFUSED(CACHED, s.c.restart_retransmit = 2);
	REFUSED(CACHED, s.c.flow_label = 1 << 20);
	REFUSED(CACHED, s.c.cc_algorithm = TCP_CC_ALGORITHMS);
	REFUSED(DELEGATED, s.d.state = TCP_STATES);
	REFUSED(DELEGATED, s.d.fin |= 0x10);
	REFUSED(DELEGATED, s.d.recovery = TCP_RECOVERY_LOSS + 1);
	REFUSED(DELEGATED, s.d.sacked.n = SEQ_RANGES_MAX + 1);
	REFUSED(DELEGATED, s.d.cc.len = CC_PRIVATE_BYTES + 1);
	REFUSED(DELEGATED, s.d.ooo.n = OOO_REFS_MAX + 1);
	REFUSED(DELEGATED, s.d.ooo.seg[0].fin = 2);
#undef REFUSED
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_neighbor),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_tcp),
	};

	prng_seed(&rng, 20);
	return RUN_TESTS(tests);
}
