/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Streams of the real kernel under CUBIC with ECN, BBR, BBR with ECN and a limit of their own go
 * out and back while a network marks their segments: every byte arrives in order, whoever runs
 * them.
 */
#include "chimney/chimney.h"
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <netinet/in.h>

#include <linux/tcp.h>

enum { PORT = 7001, CONNS = 4, BYTES = 3 << 20, MOVE_EVERY = BYTES / 6 };

static struct pair net;
static int listener;

static uint8_t byte_of(int i, uint64_t at)
{
	return (uint8_t)((at * 2654435761u + (uint64_t)i * 77) >> 13);
}

static int in_peer(const char *words)
{
	char line[512];

	snprintf(line, sizeof(line), "nsenter -t %d -n %s", net.peer, words);
	return system(line);
}

/* Marks every third segment with ECT, both ways, and counts CWR from this side. */
static int mark(void)
{
	return in_peer("nft '"
	               "add table inet t; add counter inet t cwr;"
	               "add chain inet t i { type filter hook prerouting priority -300; };"
	               "add chain inet t o { type filter hook output priority 0; };"
	               "add rule inet t i tcp flags & cwr == cwr counter name cwr;"
	               "add rule inet t i ip ecn ect0 numgen inc mod 3 0 ip ecn set ce;"
	               "add rule inet t i ip6 ecn ect0 numgen inc mod 3 0 ip6 ecn set ce;"
	               "add rule inet t o ip ecn ect0 numgen inc mod 3 0 ip ecn set ce;"
	               "add rule inet t o ip6 ecn ect0 numgen inc mod 3 0 ip6 ecn set ce'");
}

/* Segments with CWR since the last call. */
static unsigned int count_cwr(void)
{
	char line[160];
	unsigned int n = 0;
	FILE *f;

	snprintf(line, sizeof(line), "nsenter -t %d -n nft reset counter inet t cwr", net.peer);
	f = popen(line, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		(void)!sscanf(line, " packets %u", &n);
	pclose(f);
	return n;
}

struct stream {
	struct chimney_conn *conn;
	uint64_t sent, received, wrong;
};

static void send_some(struct stream *s, int i)
{
	uint8_t buf[8192];
	uint64_t left = BYTES - s->sent;
	size_t want = left < sizeof(buf) ? (size_t)left : sizeof(buf);
	ssize_t n;

	for (size_t k = 0; k < want; k++)
		buf[k] = byte_of(i, s->sent + k);
	n = want ? chimney_conn_send(s->conn, buf, want, CHIMNEY_DONTWAIT) : 0;
	if (n > 0)
		s->sent += (uint64_t)n;
}

static void receive_some(struct stream *s, int i)
{
	uint8_t buf[16384];
	ssize_t n = chimney_conn_recv(s->conn, buf, sizeof(buf), CHIMNEY_DONTWAIT);

	for (ssize_t k = 0; k < n; k++)
		s->wrong += buf[k] != byte_of(i, s->received + (uint64_t)k);
	if (n > 0)
		s->received += (uint64_t)n;
}

/* Until the slowest stream has received `bytes`. */
static void pump(struct stream *s, uint64_t bytes)
{
	for (bool done = false; !done;) {
		done = true;
		for (int i = 0; i < CONNS; i++) {
			send_some(&s[i], i);
			receive_some(&s[i], i);
			done = done && s[i].received >= bytes;
			assert_int_equal(s[i].wrong, 0);
		}
	}
}

static void move(struct chimney_context *context, struct stream *s, bool offload)
{
	struct chimney_conn *conns[CONNS];
	struct chimney_result results[CONNS];
	ssize_t moved;

	for (int i = 0; i < CONNS; i++)
		conns[i] = s[i].conn;
	moved = offload ? chimney_conns_offload(context, conns, CONNS, results)
	                : chimney_conns_upload(context, conns, CONNS, results);
	for (int i = 0; i < CONNS; i++) {
		if (results[i].status)
			fprintf(stderr, "connection %d: %s\n", i,
			        chimney_status_sentence(results[i].status));
	}
	assert_int_equal(moved, CONNS);
}

static int count_events(struct chimney_context *context, const char *word)
{
	struct chimney_event events[64];
	int n = chimney_context_log(context, 0, 0, events, 64), found = 0;

	for (int i = 0; i < n; i++)
		found += strstr(events[i].text, word) != NULL;
	return found;
}

/* R10 R37 */
static void streams_across_moves(void **state)
{
	static const char *const algorithms[CONNS] = {"cubic", "bbr", "bbr", "reno"};
	struct chimney_context_options o = CHIMNEY_CONTEXT_OPTIONS_INIT;
	uint64_t resets = pair_own_resets() + pair_ask(&net, PAIR_RESETS, 0, false);
	struct stream s[CONNS] = {{0}};
	struct chimney_context *context;
	uint64_t limit = 50000000;
	unsigned int cwr = 0;

	o.interface = PAIR_IF;
	assert_int_equal(chimney_context_create(&o, &context), 0);
	for (int i = 0; i < CONNS; i++) {
		int fd = pair_accept(&net, listener, PORT, i == 2);

		assert_true(fd >= 0);
		assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, algorithms[i],
		                            (socklen_t)strlen(algorithms[i])),
		                 0);
		if (i == 3)
			setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &limit, sizeof(limit));
		assert_int_equal(chimney_conn_adopt(context, fd, -1, NULL, &s[i].conn), 0);
	}
	for (int step = 1; step <= 6; step++) {
		bool offload = step % 2;

		move(context, s, offload);
		count_cwr();
		pump(s, (uint64_t)step * MOVE_EVERY);
		cwr += offload ? count_cwr() : 0;
	}
	assert_true(cwr > 0); /* the target has heard ECE and said so */
	assert_int_equal(pair_own_resets() + pair_ask(&net, PAIR_RESETS, 0, false), resets);
	/* Two connections came back without their model, three times. */
	assert_int_equal(count_events(context, "model-lost"), 6);
	for (int i = 0; i < CONNS; i++)
		chimney_conn_close(s[i].conn);
	chimney_context_destroy(context);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_across_moves),
	};
	int failed;

	if (!pair_setup(&net))
		return 77;
	if (system("sysctl -qw net.ipv4.tcp_ecn=1") || in_peer("sysctl -qw net.ipv4.tcp_ecn=1") ||
	    mark()) {
		printf("skipped: no sysctl or no nft\n");
		pair_teardown(&net);
		return 77;
	}
	listener = pair_listen(PORT);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	pair_teardown(&net);
	return failed;
}
