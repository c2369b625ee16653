// SPDX-License-Identifier: BSD-2-Clause-Patent
/* Connections with ECN leave the real kernel and come back: what the target gets of it, and what
 * the kernel has afterwards. */
#include "linux_env.h"

#include "linux/sockstate.h"

#include <netinet/in.h>
#include <sys/socket.h>

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
		cmocka_unit_test(test_accurate_ecn_is_refused),
	};

	env_need_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
