// SPDX-License-Identifier: BSD-2-Clause-Patent
/* Connections with ECN, BBR and pacing leave the real kernel and come back: what the target gets of
 * it, and what the kernel has afterwards. */
#include "linux_env.h"

#include "linux/sockstate.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <linux/inet_diag.h>
#include <linux/tcp.h>

#include "state/bbr.h"

static void start(struct env *e, struct env_conn *conns, u32 n, int ecn)
{
	env_start(e, 0);
	env_run("sysctl -qw net.ipv4.tcp_ecn=%d", ecn);
	env_run_peer(e, "sysctl -qw net.ipv4.tcp_ecn=%d", ecn);
	env_backend(e, NULL);
	env_connect(e, conns, n);
}

static void talk(struct env *e, struct env_conn *c)
{
	e->shared->talkers = 1;
	for (u32 i = 0; i < 10; i++) {
		env_send(c, 20000);
		env_sleep_ms(2);
		env_read(c);
	}
	e->shared->pause = 1;
	env_sleep_ms(5);
	env_drain(e, c);
	env_drained_peer(e, c);
	env_sleep_ms(250); /* a delayed ACK of the peer's is out */
}

/* Marks what arrives at one end with CE; ECN's field alone, whatever it was. */
#define MARK_RULE                                                                            \
	"nft 'add table ip t; add chain ip t c { type filter hook prerouting priority 0; };" \
	"add rule ip t c tcp dport %d ip ecn ect0 ip ecn set ce'"

static void test_ecn_agreed_is_carried_over(void **state)
{
	struct env_moves m;
	struct env_conn c;
	struct env e;

	start(&e, &c, 1, 1);
	talk(&e, &c);
	assert_int_equal(env_export(c.fd).ecn_flags, TCP_ECN_AGREED | TCP_ECN_SEEN);
	env_mark(&e);
	env_moves_init(&m, &c, 1);
	env_offload(&e, &m, 0, 1);
	assert_int_equal(m.tcp[0].k.options & TCP_OPT_ECN, TCP_OPT_ECN);
	assert_int_equal(m.tcp[0].d.ecn_state, TCP_ECN_AGREED | TCP_ECN_SEEN);
	env_upload(&e, &m, 0, 1);
	env_moves_free(&e, &m);
	assert_int_equal(env_export(c.fd).ecn_flags, TCP_ECN_AGREED | TCP_ECN_SEEN);
	/* It still works: what goes out is marked by the network, and the peer's ECE is heard. */
	env_run_peer(&e, MARK_RULE, ENV_PORT);
	talk(&e, &c);
	env_send(&c, 60000);
	env_drained_peer(&e, &c);
	assert_true(env_export(c.fd).snd_ssthresh < 0x7fffffff);
	env_run_peer(&e, "nft delete table ip t");
	env_unnoticed(&e);
	env_close(&c, 1);
	env_stop(&e);
}

/* The moments between a mark and its CWR: ECE to be said, and CWR to be said, come back as they
 * went. */
static void test_ecn_in_between_is_carried_over(void **state)
{
	struct env_moves m;
	struct env_conn c;
	struct env e;

	start(&e, &c, 1, 1);
	talk(&e, &c);
	env_run_peer(&e, MARK_RULE, ENV_PORT);
	/* The last data of this side is marked: the ECE comes when nothing is left to say CWR with.
	 */
	env_send(&c, 60000);
	env_drained_peer(&e, &c);
	env_sleep_ms(50);
	assert_int_equal(env_export(c.fd).ecn_flags & TCP_ECN_QUEUE_CWR, TCP_ECN_QUEUE_CWR);
	env_mark(&e);
	env_moves_init(&m, &c, 1);
	env_offload(&e, &m, 0, 1);
	assert_int_equal(m.tcp[0].d.ecn_state & ECN_KERNEL_BITS,
	                 TCP_ECN_AGREED | TCP_ECN_SEEN | TCP_ECN_QUEUE_CWR);
	/* As if the target had received CE. */
	m.tcp[0].d.ecn_state |= TCP_ECN_DEMAND_CWR | TCP_ECN_REDUCED;
	env_upload(&e, &m, 0, 1);
	env_moves_free(&e, &m);
	assert_int_equal(env_export(c.fd).ecn_flags,
	                 TCP_ECN_AGREED | TCP_ECN_SEEN | TCP_ECN_QUEUE_CWR | TCP_ECN_DEMAND_CWR);
	env_run_peer(&e, "nft delete table ip t");
	env_unnoticed(&e);
	env_close(&c, 1);
	env_stop(&e);
}

/* trap 11. What TCP_CC_INFO tells of BBR's model goes out, and is lost on the way back, which is
 * said; cwnd and the algorithm are kept. */
static void test_bbr(void **state)
{
	struct sock_export before, after;
	struct bbr_model b;
	struct env_moves m;
	struct env_conn c;
	struct env e;

	start(&e, &c, 1, 1);
	if (setsockopt(c.fd, IPPROTO_TCP, TCP_CONGESTION, "bbr", 3)) {
		env_close(&c, 1);
		env_stop(&e);
		skip();
	}
	talk(&e, &c);
	before = env_export(c.fd);
	env_mark(&e);
	env_moves_init(&m, &c, 1);
	env_offload(&e, &m, 0, 1);
	assert_int_equal(m.tcp[0].c.cc_algorithm, TCP_CC_BBR);
	assert_int_equal(m.tcp[0].c.max_pacing_rate, 0);
	assert_int_equal(m.tcp[0].d.pacing_rate, before.pacing_rate);
	assert_int_equal(m.tcp[0].d.cc.type, TCP_CC_BBR);
	assert_int_equal(m.tcp[0].d.cc.version, BBR_VERSION);
	memcpy(&b, m.tcp[0].d.cc.bytes, sizeof(b));
	assert_in_range(b.bw[0] << BBR_BW_SHIFT, 100000, UINT32_MAX);
	assert_in_range(b.min_rtt_us, 1, 100000);
	assert_true(b.mode < BBR_MODES);
	env_upload(&e, &m, 0, 1);
	assert_int_equal(m.move[0].flags & MOVE_MODEL_LOST, MOVE_MODEL_LOST);
	assert_int_equal(m.move[0].detail, (u64)b.bw[0] << BBR_BW_SHIFT);
	env_moves_free(&e, &m);
	after = env_export(c.fd);
	assert_string_equal(after.cc, "bbr");
	assert_int_equal(after.snd_cwnd, before.snd_cwnd);
	assert_int_equal(after.ecn_flags, before.ecn_flags);
	env_unnoticed(&e);
	env_close(&c, 1);
	env_stop(&e);
}

/* A limit of the socket's own goes along, and is there afterwards. */
static void test_pacing_is_carried_over(void **state)
{
	u64 rate = 1000000;
	struct env_moves m;
	struct env_conn c;
	struct env e;

	start(&e, &c, 1, 1);
	assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate)), 0);
	env_moves_init(&m, &c, 1);
	env_offload(&e, &m, 0, 1);
	assert_int_equal(m.tcp[0].c.max_pacing_rate, 1000000);
	env_upload(&e, &m, 0, 1);
	assert_int_equal(m.move[0].flags & MOVE_MODEL_LOST, 0);
	env_moves_free(&e, &m);
	assert_int_equal(env_export(c.fd).max_pacing_rate, 1000000);
	assert_int_equal(env_export(c.fd).facts & EXPORT_PACED, EXPORT_PACED);
	env_close(&c, 1);
	env_stop(&e);
}

/* BBR's modes by their gains. */
static void test_bbr_modes(void **state)
{
	static const struct {
		u32 pacing, cwnd;
		u8 mode, phase, full;
	} t[] = {
		{739, 739, BBR_STARTUP, 0, 0},  {88, 739, BBR_DRAIN, 1, 1},
		{320, 512, BBR_PROBE_BW, 0, 1}, {192, 512, BBR_PROBE_BW, 1, 1},
		{256, 512, BBR_PROBE_BW, 2, 1}, {256, 256, BBR_PROBE_RTT, 2, 1},
	};

	for (u32 i = 0; i < ARRAY_SIZE(t); i++) {
		struct tcp_bbr_info info = {
			.bbr_bw_lo = 64000,
			.bbr_bw_hi = 1,
			.bbr_min_rtt = 20000,
			.bbr_pacing_gain = t[i].pacing,
			.bbr_cwnd_gain = t[i].cwnd,
		};
		struct cc_private cc;
		struct bbr_model b;

		sock_bbr_to_state(&info, NS_PER_S, &cc);
		memcpy(&b, cc.bytes, sizeof(b));
		assert_int_equal(b.mode, t[i].mode);
		assert_int_equal(b.phase, t[i].phase);
		assert_int_equal(!!(b.flags & BBR_FULL_PIPE), t[i].full);
		assert_int_equal(b.min_rtt_us, 20000);
		assert_int_equal(sock_bbr_bandwidth(&cc), (1ull << 32) + 64000);
	}
}

/* Accurate ECN is refused by name. Few kernels have it: the fact is made up. */
static void test_accurate_ecn_is_refused(void **state)
{
	struct sock_export at;
	struct env_conn c;
	struct env e;
	u64 detail = 0;

	start(&e, &c, 1, 1);
	at = env_export(c.fd);
	assert_int_equal(reasons_socket(&at, false, &detail), STATUS_OK);
	at.ecn_flags = 1 << 4; /* TCP_ECN_MODE_ACCECN */
	assert_int_equal(reasons_socket(&at, false, &detail), STATUS_ACCURATE_ECN);
	env_close(&c, 1);
	env_stop(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ecn_agreed_is_carried_over),
		cmocka_unit_test(test_ecn_in_between_is_carried_over),
		cmocka_unit_test(test_bbr),
		cmocka_unit_test(test_bbr_modes),
		cmocka_unit_test(test_pacing_is_carried_over),
		cmocka_unit_test(test_accurate_ecn_is_refused),
	};

	env_need_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
