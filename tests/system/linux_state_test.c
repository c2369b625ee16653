// SPDX-License-Identifier: BSD-2-Clause-Patent
/* What a connection still has after it left the kernel and came back: read by the export program
 * before and after. */
#include "linux_env.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/tcp.h>

static void set_int(int fd, int level, int name, int v)
{
	assert_int_equal(setsockopt(fd, level, name, &v, sizeof(v)), 0);
}

static u32 get_int(int fd, int level, int name)
{
	u32 v = 0;
	socklen_t len = sizeof(v);

	assert_int_equal(getsockopt(fd, level, name, &v, &len), 0);
	return v;
}

static void round_trip(struct env *e, struct env_conn *conns, u32 n)
{
	struct env_moves m;

	env_moves_init(&m, conns, n);
	env_offload(e, &m, 0, n);
	env_upload(e, &m, 0, n);
	env_moves_free(e, &m);
}

static void start_with(struct env *e, struct env_conn *conns, u32 n, int how)
{
	env_start(e, how);
	env_backend(e, NULL);
	env_connect(e, conns, n);
}

static void start(struct env *e, struct env_conn *conns, u32 n)
{
	start_with(e, conns, n, 0);
}

/* All is acknowledged and no recovery under way. */
static void wait_settled(struct env *e, const struct env_conn *c)
{
	struct sock_export at;

	do {
		env_sleep_ms(1);
		at = env_export(c->fd);
	} while (at.snd_una != at.snd_nxt || at.ca_state || at.facts & EXPORT_DELACK);
	env_quiet(e);
}

static void stop(struct env *e, struct env_conn *conns, u32 n)
{
	env_unnoticed(e);
	env_close(conns, n);
	env_stop(e);
}

/* Some traffic in both directions, so that windows, round-trip times and cwnd are not the initial
 * ones, then quiet. */
static void warm_up(struct env *e, struct env_conn *c)
{
	e->shared->talkers = 1;
	for (u32 i = 0; i < 40; i++) {
		env_send(c, 60000);
		env_sleep_ms(3);
		env_read(c);
	}
	env_pause(e);
	env_drain(e, c);
	env_drained_peer(e, c);
	wait_settled(e, c);
	env_mark(e);
}

/* trap 9: a plain re-import would leave cwnd 10, ssthresh infinite, srtt 0 and an RTO of 3 s.
 * trap 10: both are read back exactly, and neither is a clamp. */
static void test_congestion_state_is_carried_over(void **state)
{
	struct sock_export before, after;
	struct env_conn c;
	struct env e;

	start(&e, &c, 1);
	warm_up(&e, &c);
	before = env_export(c.fd);
	assert_true(before.snd_cwnd > 10);
	round_trip(&e, &c, 1);
	after = env_export(c.fd);
	assert_int_equal(after.snd_cwnd, before.snd_cwnd);
	assert_int_equal(after.snd_ssthresh, before.snd_ssthresh);
	assert_string_equal(after.cc, "cubic");
	assert_int_equal(after.ecn_flags, before.ecn_flags);
	assert_true(after.srtt_us > 0);
	assert_in_range(after.rto_jiffies, before.rto_jiffies / 2, before.rto_jiffies * 2);
	stop(&e, &c, 1);
}

/* A connection that was hardly used comes back with what connect gives it; where the route sets
 * something else, with what it had. */
static void test_initial_window_is_carried_over(void **state)
{
	struct sock_export before, after;
	struct env_conn c;
	struct env e;

	start(&e, &c, 1);
	before = env_export(c.fd);
	assert_int_equal(before.snd_cwnd, 10);
	round_trip(&e, &c, 1);
	after = env_export(c.fd);
	assert_int_equal(after.snd_cwnd, before.snd_cwnd);
	assert_int_equal(after.snd_ssthresh, before.snd_ssthresh);
	env_run("ip route add 10.9.0.2/32 dev h0 initcwnd 4");
	env_sleep_ms(1100); /* nobody follows the routes here: the backend asks again */
	round_trip(&e, &c, 1);
	after = env_export(c.fd);
	assert_int_equal(after.snd_cwnd, before.snd_cwnd);
	stop(&e, &c, 1);
}

/* trap 10: ssthresh that was set stays set. */
static void test_ssthresh_is_carried_over(void **state)
{
	struct sock_export before, after;
	struct env_conn c;
	struct env e;

	start_with(&e, &c, 1, ENV_RETRANSMITS);
	/* One loss makes cubic set ssthresh; the counters of retransmission are checked before. */
	warm_up(&e, &c);
	env_run_peer(&e,
	             "nft 'add table ip t; add chain ip t c { type filter hook input priority 0; };"
	             "add rule ip t c tcp dport %d numgen inc mod 20 0 drop'",
	             ENV_PORT);
	for (u32 i = 0; i < 20; i++)
		env_send(&c, 30000);
	env_drained_peer(&e, &c);
	env_run_peer(&e, "nft delete table ip t");
	wait_settled(&e, &c);
	before = env_export(c.fd);
	assert_true(before.snd_ssthresh < 0x7fffffff);
	round_trip(&e, &c, 1);
	after = env_export(c.fd);
	assert_int_equal(after.snd_cwnd, before.snd_cwnd);
	assert_int_equal(after.snd_ssthresh, before.snd_ssthresh);
	env_close(&c, 1);
	env_stop(&e);
}

/* trap 7: the timestamp clock goes on with its offset. Sequence numbers, windows, options stay. */
static void test_positions_and_options_are_carried_over(void **state)
{
	struct sock_export before, after;
	struct env_conn c;
	struct env e;

	start(&e, &c, 1);
	warm_up(&e, &c);
	before = env_export(c.fd);
	round_trip(&e, &c, 1);
	after = env_export(c.fd);
	assert_int_equal(after.tsoffset, before.tsoffset);
	assert_int_equal(after.ts_recent, before.ts_recent);
	assert_int_equal(
		after.facts & (EXPORT_TSTAMPS | EXPORT_SACK | EXPORT_WSCALE | EXPORT_USEC_TS),
		before.facts & (EXPORT_TSTAMPS | EXPORT_SACK | EXPORT_WSCALE | EXPORT_USEC_TS));
	assert_int_equal(after.snd_wscale, before.snd_wscale);
	assert_int_equal(after.rcv_wscale, before.rcv_wscale);
	assert_int_equal(after.mss_clamp, before.mss_clamp);
	assert_int_equal(after.snd_una, before.snd_una);
	assert_int_equal(after.snd_nxt, before.snd_nxt);
	assert_int_equal(after.write_seq, before.write_seq);
	assert_int_equal(after.snd_wnd, before.snd_wnd);
	/* The segment that restores srtt counts as a window update with the same window. */
	assert_true((s32)(after.snd_wl1 - before.snd_wl1) >= 0);
	assert_int_equal(after.rcv_nxt, before.rcv_nxt);
	assert_int_equal(after.copied_seq, before.copied_seq);
	/* The right edge never moves left; a flushed ACK may have moved it right. */
	assert_true((s32)(after.rcv_wup + after.rcv_wnd - before.rcv_wup - before.rcv_wnd) >= 0);
	assert_int_equal(after.rcvbuf, before.rcvbuf);
	assert_int_equal(after.sndbuf, before.sndbuf);
	assert_int_equal(after.state, before.state);
	assert_int_equal(after.facts & EXPORT_IN_REPAIR, 0);
	stop(&e, &c, 1);
}

/* trap 5: settings stay on the same descriptor; SO_REUSEADDR is lost by repair mode and set again.
 */
static void test_settings_are_carried_over(void **state)
{
	struct env_conn c[2];
	struct env e;

	start(&e, c, 2);
	set_int(c[0].fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(c[0].fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(c[0].fd, IPPROTO_TCP, TCP_KEEPIDLE, 77);
	set_int(c[0].fd, IPPROTO_TCP, TCP_KEEPINTVL, 7);
	set_int(c[0].fd, IPPROTO_TCP, TCP_KEEPCNT, 5);
	set_int(c[0].fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 12345);
	set_int(c[0].fd, IPPROTO_IP, IP_TTL, 33);
	set_int(c[0].fd, IPPROTO_IP, IP_TOS, 0x20);
	set_int(c[0].fd, SOL_SOCKET, SO_PRIORITY, 3);
	set_int(c[0].fd, SOL_SOCKET, SO_MARK, 0);
	set_int(c[1].fd, SOL_SOCKET, SO_REUSEADDR, 0);
	round_trip(&e, c, 2);
	assert_int_equal(get_int(c[0].fd, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(get_int(c[0].fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(get_int(c[0].fd, IPPROTO_TCP, TCP_KEEPIDLE), 77);
	assert_int_equal(get_int(c[0].fd, IPPROTO_TCP, TCP_KEEPINTVL), 7);
	assert_int_equal(get_int(c[0].fd, IPPROTO_TCP, TCP_KEEPCNT), 5);
	assert_int_equal(get_int(c[0].fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 12345);
	assert_int_equal(get_int(c[0].fd, IPPROTO_IP, IP_TTL), 33);
	assert_int_equal(get_int(c[0].fd, IPPROTO_IP, IP_TOS), 0x20);
	assert_int_equal(get_int(c[0].fd, SOL_SOCKET, SO_PRIORITY), 3);
	assert_int_equal(get_int(c[0].fd, SOL_SOCKET, SO_REUSEADDR), 1);
	assert_int_equal(get_int(c[1].fd, SOL_SOCKET, SO_REUSEADDR), 0);
	/* The keepalive timer runs again. */
	assert_true(env_export(c[0].fd).keepalive_expires != EXPORT_NO_TIMER);
	stop(&e, c, 2);
}

/* trap 9: the first segment after an upload is lost; the RTO that the kernel uses then is the
 * connection's, so it is there again within a second, not after three. */
static void test_first_segment_after_upload_is_lost(void **state)
{
	struct sock_export before, at;
	struct env_conn c;
	struct env e;

	start_with(&e, &c, 1, ENV_RETRANSMITS);
	warm_up(&e, &c);
	before = env_export(c.fd);
	round_trip(&e, &c, 1);
	env_run_peer(&e,
	             "nft 'add table ip t; add chain ip t c { type filter hook input priority 0; };"
	             "add rule ip t c tcp dport %d drop'",
	             ENV_PORT);
	env_send(&c, 100);
	do
		env_sleep_ms(1);
	while (!env_export(c.fd).packets_out);
	at = env_export(c.fd);
	assert_int_equal(at.packets_out, 1);
	assert_in_range(at.rto_jiffies >> at.backoff, before.rto_jiffies / 2,
	                before.rto_jiffies * 2);
	env_run_peer(&e, "nft delete table ip t");
	env_drained_peer(&e, &c);
	env_close(&c, 1);
	env_stop(&e);
}

/* trap 18: an ACK that the kernel held back goes out before the freeze. Where it does not (bytes
 * that nobody has read yet), the timer moves with what is left of it. */
static void test_delayed_ack_is_flushed(void **state)
{
	struct linux_backend_counters counters;
	struct env_moves m;
	struct env_conn c;
	struct env e;

	start(&e, &c, 1);
	warm_up(&e, &c);
	/* Interactive traffic makes the kernel delay ACKs. */
	for (u32 i = 0; i < 5; i++) {
		env_send(&c, 10);
		env_sleep_ms(2);
	}
	e.shared->pause = 0;
	while (!(env_export(c.fd).facts & EXPORT_DELACK))
		env_read(&c);
	env_moves_init(&m, &c, 1);
	env_offload(&e, &m, 0, 1);
	env_pause(&e);
	if (m.tcp[0].d.recv.len == 0)
		assert_int_equal(m.tcp[0].d.last_ack_sent.n, m.tcp[0].d.rcv_nxt.n);
	assert_true(m.tcp[0].d.last_ack_sent.n == m.tcp[0].d.rcv_nxt.n ||
	            m.tcp[0].d.delayed_ack_left_ns != TIMER_STOPPED);
	env_upload(&e, &m, 0, 1);
	linux_backend_counters(e.backend, &counters);
	printf("delayed ACKs flushed: %llu\n", (unsigned long long)counters.flushed_acks);
	env_moves_free(&e, &m);
	env_drain(&e, &c);
	stop(&e, &c, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_congestion_state_is_carried_over),
		cmocka_unit_test(test_initial_window_is_carried_over),
		cmocka_unit_test(test_ssthresh_is_carried_over),
		cmocka_unit_test(test_positions_and_options_are_carried_over),
		cmocka_unit_test(test_settings_are_carried_over),
		cmocka_unit_test(test_first_segment_after_upload_is_lost),
		cmocka_unit_test(test_delayed_ack_is_flushed),
	};

	env_need_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
