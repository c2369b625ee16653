// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * Connections that are half closed, and connections with bytes in their queues, out of the kernel
 * and back (traps 14 and 15). What reaches the peer's interface meanwhile is captured: nothing may.
 */
#include "linux/sockstate.h"
#include "linux_env.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

/* A packet socket in the peer's namespace: what the wire brings there. */
static int capture_open(struct env *e)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
	int fd;

	assert_int_equal(setns(e->peer_ns, CLONE_NEWNET), 0);
	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_IP));
	at.sll_ifindex = (int)if_nametoindex("p0");
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(setns(e->host_ns, CLONE_NEWNET), 0);
	return fd;
}

/* How many TCP segments of connection `id` came from this host since the last call. */
static u32 captured(int fd, u32 id)
{
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);
	u8 p[65536];
	u32 count = 0;
	ssize_t n;

	while ((n = recvfrom(fd, p, sizeof(p), 0, (struct sockaddr *)&from, &len)) > 0) {
		u32 ip = (p[0] & 15) * 4u;

		if (from.sll_pkttype != PACKET_OUTGOING && n >= (ssize_t)ip + 20 && p[9] == 6 &&
		    (u32)(p[ip] << 8 | p[ip + 1]) == ENV_FIRST_PORT + id)
			count++;
		len = sizeof(from);
	}
	return count;
}

static void wait_state(int fd, enum tcp_state_name want)
{
	while (sock_state_name(env_export(fd).state) != want)
		env_sleep_ms(1);
}

/* The peer's host loses our FINs: they stay unacknowledged. */
static void lose_fins(struct env *e, int on)
{
	if (on)
		env_run_peer(
			e,
			"nft 'add table ip t; add chain ip t c { type filter hook input "
			"priority 0; }; add rule ip t c tcp dport %d tcp flags & fin == fin drop'",
			ENV_PORT);
	else
		env_run_peer(e, "nft delete table ip t");
}

/* trap 15: out and back in `state`, in which the socket must be before and after, silently. */
static void move_in(struct env *e, struct env_conn *c, enum tcp_state_name state)
{
	struct sock_export before, after;
	int capture = capture_open(e);
	struct env_moves m;
	u32 segments;
	u64 resent;

	wait_state(c->fd, state);
	while (env_export(c->fd).facts & EXPORT_DELACK) /* the freeze would send it */
		env_sleep_ms(1);
	/* A FIN that is not acknowledged is sent again whenever its time is up: also right now. */
	resent = env_counter(e, 0, "snmp", "RetransSegs");
	env_quiet(e);
	captured(capture, c->id);
	before = env_export(c->fd);
	env_moves_init(&m, c, 1);
	m.move[0].flags = MOVE_UNQUIET;
	env_offload(e, &m, 0, 1);
	assert_int_equal(m.tcp[0].d.state, state);
	env_upload(e, &m, 0, 1);
	segments = captured(capture, c->id);
	after = env_export(c->fd);
	resent = env_counter(e, 0, "snmp", "RetransSegs") - resent;
	assert_in_range(segments, 0, resent);
	assert_int_equal(sock_state_name(after.state), state);
	assert_int_equal(after.snd_una, before.snd_una);
	assert_int_equal(after.snd_nxt, before.snd_nxt);
	assert_int_equal(after.write_seq, before.write_seq);
	assert_int_equal(after.rcv_nxt, before.rcv_nxt);
	if (!resent)
		assert_int_equal(after.snd_cwnd, before.snd_cwnd);
	env_moves_free(e, &m);
	close(capture);
}

static void start(struct env *e, struct env_conn *c, int how)
{
	env_start(e, how);
	env_backend(e, NULL);
	env_connect(e, c, 1);
	env_send(c, 1000);
	e->shared->talkers = 1;
	while (!env_read(c))
		env_sleep_ms(1);
	env_pause(e);
	env_drain(e, c);
	env_drained_peer(e, c);
	while (env_export(c->fd).snd_una != env_export(c->fd).snd_nxt)
		env_sleep_ms(1);
}

static void wait_eof(int fd)
{
	u8 b;

	while (recv(fd, &b, 1, MSG_DONTWAIT) != 0) {
		assert_int_equal(errno, EAGAIN);
		env_sleep_ms(1);
	}
}

static void stop(struct env *e, struct env_conn *c)
{
	assert_int_equal(e->shared->errors, 0);
	assert_int_equal(e->shared->mismatches, 0);
	assert_int_equal(env_counter(e, 0, "snmp", "OutRsts"), 0);
	assert_int_equal(env_counter(e, 1, "snmp", "OutRsts"), 0);
	env_close(c, 1);
	env_stop(e);
}

/* The peer half-closes; we go on sending, then close. */
static void test_close_wait(void **state)
{
	struct env_conn c;
	struct env e;

	start(&e, &c, 0);
	e.shared->shut[0] = 1;
	move_in(&e, &c, TCP_CLOSE_WAIT);
	env_send(&c, 5000);
	env_drained_peer(&e, &c);
	wait_eof(c.fd);
	shutdown(c.fd, SHUT_WR);
	while (!e.shared->eofs)
		env_sleep_ms(1);
	stop(&e, &c);
}

/* We half-close, the peer acknowledges that and goes on sending. */
static void test_fin_wait_2(void **state)
{
	struct env_conn c;
	struct env e;

	start(&e, &c, 0);
	shutdown(c.fd, SHUT_WR);
	move_in(&e, &c, TCP_FIN_WAIT_2);
	e.shared->pause = 0;
	env_sleep_ms(20);
	env_pause(&e);
	env_drain(&e, &c);
	e.shared->shut[0] = 1;
	wait_eof(c.fd);
	stop(&e, &c);
}

static void test_fin_wait_1(void **state)
{
	struct env_conn c;
	struct env e;

	start(&e, &c, ENV_RETRANSMITS);
	lose_fins(&e, 1);
	shutdown(c.fd, SHUT_WR);
	move_in(&e, &c, TCP_FIN_WAIT_1);
	lose_fins(&e, 0);
	wait_state(c.fd, TCP_FIN_WAIT_2); /* the kernel has sent the FIN again */
	e.shared->shut[0] = 1;
	wait_eof(c.fd);
	assert_int_equal(e.shared->eofs, 1);
	stop(&e, &c);
}

static void test_closing(void **state)
{
	struct env_conn c;
	struct env e;

	start(&e, &c, ENV_RETRANSMITS);
	lose_fins(&e, 1);
	shutdown(c.fd, SHUT_WR);
	wait_state(c.fd, TCP_FIN_WAIT_1);
	e.shared->shut[0] = 1;
	move_in(&e, &c, TCP_CLOSING);
	lose_fins(&e, 0);
	while (!e.shared->eofs)
		env_sleep_ms(1);
	wait_eof(c.fd);
	stop(&e, &c);
}

static void test_last_ack(void **state)
{
	struct env_conn c;
	struct env e;

	start(&e, &c, ENV_RETRANSMITS);
	e.shared->shut[0] = 1;
	wait_state(c.fd, TCP_CLOSE_WAIT);
	lose_fins(&e, 1);
	shutdown(c.fd, SHUT_WR);
	move_in(&e, &c, TCP_LAST_ACK);
	lose_fins(&e, 0);
	while (!e.shared->eofs)
		env_sleep_ms(1);
	stop(&e, &c);
}

static u32 unread_bytes(int fd)
{
	struct sock_export e = env_export(fd);

	return sock_recv_bytes(&e);
}

/* Bytes received and not read move along, also in front of a FIN. */
static void unread(int fin)
{
	struct env_moves m;
	struct env_conn c;
	struct env e;
	u32 waiting;

	start(&e, &c, 0);
	e.shared->pause = 0;
	while (unread_bytes(c.fd) < 40000)
		env_sleep_ms(1);
	env_pause(&e);
	while (c.received + unread_bytes(c.fd) < e.shared->sent[0])
		env_sleep_ms(1);
	e.shared->shut[0] = (u32)fin;
	wait_state(c.fd, fin ? TCP_CLOSE_WAIT : TCP_ESTABLISHED);
	waiting = (u32)(e.shared->sent[0] - c.received);
	env_moves_init(&m, &c, 1);
	env_offload(&e, &m, 0, 1);
	assert_int_equal(m.tcp[0].d.recv.len, waiting);
	assert_int_equal(buf_chain_len(&e.pool, m.tcp[0].d.recv.buf), waiting);
	env_upload(&e, &m, 0, 1);
	env_drain(&e, &c);
	if (fin)
		wait_eof(c.fd);
	env_moves_free(&e, &m);
	stop(&e, &c);
}

static void test_unread_bytes(void **state)
{
	unread(0);
}

static void test_unread_bytes_and_fin(void **state)
{
	unread(1);
}

/* trap 14: bytes sent and not acknowledged, and bytes never sent, in pieces; `fin`: and our FIN
 * queued behind them. trap 2: they do not stay in the kernel, whose timer would send them. */
static void unsent(int fin)
{
	struct env_moves m;
	struct env_conn c;
	struct env e;
	int sndbuf = 400000;
	u8 buf[4096];

	start(&e, &c, 0);
	setsockopt(c.fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
	kill(e.peer, SIGSTOP); /* its window fills */
	for (;;) {
		for (u32 i = 0; i < sizeof(buf); i++)
			buf[i] = env_pattern(0, c.sent + i);
		ssize_t n = send(c.fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			break;
		c.sent += (u64)n;
	}
	env_sleep_ms(100);
	if (fin)
		shutdown(c.fd, SHUT_WR);
	env_moves_init(&m, &c, 1);
	env_offload(&e, &m, 0, 1);
	assert_true(m.tcp[0].d.send.len > 100000);
	assert_true(seq_diff(m.tcp[0].d.snd_max, m.tcp[0].d.snd_una) <
	            (s32)m.tcp[0].d.send.len); /* some never sent */
	assert_int_equal(m.tcp[0].d.fin & TCP_FIN_QUEUED, fin ? TCP_FIN_QUEUED : 0);
	assert_int_equal(m.tcp[0].d.fin & TCP_FIN_SENT, 0);
	env_upload(&e, &m, 0, 1);
	kill(e.peer, SIGCONT);
	env_drained_peer(&e, &c);
	while (fin && !e.shared->eofs)
		env_sleep_ms(1);
	env_moves_free(&e, &m);
	stop(&e, &c);
}

static void test_unsent_bytes(void **state)
{
	unsent(0);
}

static void test_unsent_bytes_and_fin(void **state)
{
	unsent(1);
}

/* Bytes under way: the peer's ACKs are lost while they are sent. */
static void test_unacknowledged_bytes(void **state)
{
	struct sock_export before, after;
	struct env_moves m;
	struct env_conn c;
	struct env e;

	start(&e, &c, ENV_RETRANSMITS);
	env_run_peer(
		&e,
		"nft 'add table ip t; add chain ip t c { type filter hook output priority 0; };"
		"add rule ip t c tcp sport %d drop'",
		ENV_PORT);
	env_send(&c, 9000);
	while (env_export(c.fd).snd_nxt - env_export(c.fd).snd_una < 9000)
		env_sleep_ms(1);
	before = env_export(c.fd);
	assert_int_equal(before.snd_nxt - before.snd_una, 9000);
	env_moves_init(&m, &c, 1);
	m.move[0].flags = MOVE_UNQUIET; /* the RTO may have passed */
	env_offload(&e, &m, 0, 1);
	assert_int_equal(m.tcp[0].d.send.len, 9000);
	env_upload(&e, &m, 0, 1);
	after = env_export(c.fd);
	assert_int_equal(after.snd_una, before.snd_una);
	assert_int_equal(after.snd_nxt, before.snd_nxt);
	assert_int_equal(after.pending != 0, 1); /* the retransmit timer runs */
	env_run_peer(&e, "nft delete table ip t");
	env_send(&c, 100);
	env_drained_peer(&e, &c);
	while (env_export(c.fd).snd_una != env_export(c.fd).snd_nxt)
		env_sleep_ms(1);
	env_moves_free(&e, &m);
	stop(&e, &c);
}

static u32 sockets(struct env *e, int peer, const char *state)
{
	char command[256];
	FILE *f;
	int n = -1;

	snprintf(command, sizeof(command), "%s%d -n ss -tanH state %s | grep -c :%d", "nsenter -t ",
	         peer ? (int)e->peer : (int)getpid(), state, ENV_FIRST_PORT);
	f = popen(command, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &n), 1);
	pclose(f);
	return (u32)n;
}

/* trap 16: the target came to TIME_WAIT: the kernel goes on in it, and answers the peer's FIN. */
static void test_time_wait(void **state)
{
	struct env_moves m;
	struct env_conn c;
	struct env e;

	start(&e, &c, ENV_RETRANSMITS);
	shutdown(c.fd, SHUT_WR);
	wait_state(c.fd, TCP_FIN_WAIT_2);
	env_sleep_ms(60);
	env_moves_init(&m, &c, 1);
	env_offload(&e, &m, 0, 1);
	e.shared->shut[0] = 1;
	while (!env_park(&e))
		env_sleep_ms(1);
	/* The target takes the FIN; its ACK is lost. */
	buf_put_chain(&e.pool, e.parked[0].buf);
	e.n_parked = 0;
	m.tcp[0].d.state = TCP_TIME_WAIT;
	m.tcp[0].d.fin |= TCP_FIN_RECEIVED;
	m.tcp[0].d.rcv_nxt.n++;
	m.tcp[0].d.rcv_adv.n++;
	assert_int_equal(sockets(&e, 1, "last-ack"), 1);
	env_upload(&e, &m, 0, 1);
	assert_int_equal(sockets(&e, 0, "time-wait"), 1);
	assert_int_equal(env_export(c.fd).facts & EXPORT_IN_REPAIR, 0);
	wait_eof(c.fd);
	while (sockets(&e, 1, "last-ack")) /* until the peer has sent its FIN again */
		env_sleep_ms(10);
	env_moves_free(&e, &m);
	stop(&e, &c);
}

/* The peer closed first, the target closed and that was acknowledged: what nobody has read can be
 * read still. And a connection that was reset at the target leaves a closed socket. */
static void over(int aborted)
{
	struct env_moves m;
	struct env_conn c;
	struct env e;

	start(&e, &c, 0);
	e.shared->pause = 0;
	while (unread_bytes(c.fd) < 5000)
		env_sleep_ms(1);
	env_pause(&e);
	while (c.received + unread_bytes(c.fd) < e.shared->sent[0])
		env_sleep_ms(1);
	e.shared->shut[0] = 1;
	wait_state(c.fd, TCP_CLOSE_WAIT);
	env_moves_init(&m, &c, 1);
	env_offload(&e, &m, 0, 1);
	m.tcp[0].d.state = TCP_CLOSED;
	if (!aborted) {
		m.tcp[0].d.fin |= TCP_FIN_QUEUED | TCP_FIN_SENT | TCP_FIN_ACKED;
		m.tcp[0].d.snd_una.n++;
		m.tcp[0].d.snd_nxt.n++;
		m.tcp[0].d.snd_max.n++;
	}
	env_upload(&e, &m, 0, 1);
	assert_int_equal(sock_state_name(env_export(c.fd).state), TCP_CLOSED);
	assert_int_equal(env_export(c.fd).facts & EXPORT_IN_REPAIR, 0);
	if (!aborted) {
		env_drain(&e, &c);
		wait_eof(c.fd);
	}
	env_moves_free(&e, &m);
	env_close(&c, 1);
	env_stop(&e);
}

static void test_closed_with_unread_bytes(void **state)
{
	over(0);
}

static void test_aborted(void **state)
{
	over(1);
}

/* The segments that are injected are IPv6's then. */
static void test_half_closed_v6(void **state)
{
	struct env_moves m;
	struct env_conn c[2];
	struct env e;

	env_start(&e, 1);
	env_backend(&e, NULL);
	env_connect(&e, c, 2);
	e.shared->shut[0] = 1;
	wait_state(c[0].fd, TCP_CLOSE_WAIT);
	shutdown(c[1].fd, SHUT_WR);
	wait_state(c[1].fd, TCP_FIN_WAIT_2);
	env_moves_init(&m, c, 2);
	env_offload(&e, &m, 0, 2);
	env_upload(&e, &m, 0, 2);
	assert_int_equal(sock_state_name(env_export(c[0].fd).state), TCP_CLOSE_WAIT);
	assert_int_equal(sock_state_name(env_export(c[1].fd).state), TCP_FIN_WAIT_2);
	env_send(&c[0], 1000);
	env_drained_peer(&e, &c[0]);
	wait_eof(c[0].fd);
	env_unnoticed(&e);
	env_moves_free(&e, &m);
	env_close(c, 2);
	env_stop(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_close_wait),
		cmocka_unit_test(test_fin_wait_2),
		cmocka_unit_test(test_fin_wait_1),
		cmocka_unit_test(test_closing),
		cmocka_unit_test(test_last_ack),
		cmocka_unit_test(test_unread_bytes),
		cmocka_unit_test(test_unread_bytes_and_fin),
		cmocka_unit_test(test_unsent_bytes),
		cmocka_unit_test(test_unsent_bytes_and_fin),
		cmocka_unit_test(test_unacknowledged_bytes),
		cmocka_unit_test(test_half_closed_v6),
		cmocka_unit_test(test_time_wait),
		cmocka_unit_test(test_closed_with_unread_bytes),
		cmocka_unit_test(test_aborted),
	};

	env_need_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
