/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A storm on the real kernel: offload, upload, update, invalidate and query at random moments under
 * traffic. Every stream goes to an echoing peer and must come back byte for byte; nobody is reset.
 *
 * usage: storm_test [rounds [seed]]
 */
#include "chimney/chimney.h"
#include "pair.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT = 7100, CONNS = 48, WINDOW = 60000, BATCH = 24 };

struct stream {
	struct chimney_conn *conn;
	uint64_t sent, received;
};

static struct pair net;
static struct chimney_context *context;
static struct stream streams[CONNS];
static atomic_bool stop;
static _Atomic uint64_t wrong, broken;
static uint64_t rng = 1;

static uint32_t below(uint32_t n)
{
	rng = rng * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((rng >> 33) % n);
}

static uint8_t byte_of(uint32_t stream, uint64_t at)
{
	return (uint8_t)((at * 2654435761u + stream * 40503u) >> 11);
}

/* Sends and receives a little on one stream; false: nothing could be done. */
static bool exchange(uint32_t i, uint8_t *buf, size_t len)
{
	struct stream *s = &streams[i];
	bool did = false;
	ssize_t n;

	if (!stop && s->sent - s->received < WINDOW) {
		size_t want = 1 + (s->sent * 7 + i) % len;

		for (size_t k = 0; k < want; k++)
			buf[k] = byte_of(i, s->sent + k);
		n = chimney_conn_send(s->conn, buf, want, CHIMNEY_DONTWAIT);
		if (n > 0) {
			s->sent += (uint64_t)n;
			did = true;
		} else if (n != -EAGAIN) {
			broken++;
		}
	}
	n = chimney_conn_recv(s->conn, buf, len, CHIMNEY_DONTWAIT);
	if (n > 0) {
		for (ssize_t k = 0; k < n; k++)
			wrong += buf[k] != byte_of(i, s->received + (uint64_t)k);
		s->received += (uint64_t)n;
		did = true;
	} else if (n != -EAGAIN) {
		broken++;
	}
	return did;
}

static bool all_back(void)
{
	for (int i = 0; i < CONNS; i++) {
		if (streams[i].sent != streams[i].received)
			return false;
	}
	return true;
}

static void *traffic(void *arg)
{
	static uint8_t buf[8192];

	while (!broken && !wrong && !(stop && all_back())) {
		bool did = false;

		for (uint32_t i = 0; i < CONNS; i++)
			did |= exchange(i, buf, sizeof(buf));
		if (!did)
			usleep(200);
	}
	return NULL;
}

static void random_move(void)
{
	struct chimney_conn *conns[BATCH];
	uint32_t n = 1 + below(BATCH), first = below(CONNS);

	for (uint32_t i = 0; i < n; i++)
		conns[i] = streams[(first + i) % CONNS].conn;
	if (below(2))
		chimney_conns_offload(context, conns, n, NULL);
	else
		chimney_conns_upload(context, conns, n, NULL);
}

/* What an administrator does: another MTU, the neighbor confirmed anew, no route for a moment. */
static void random_change(void)
{
	char words[160];

	switch (below(3)) {
	case 0:
		snprintf(words, sizeof(words),
		         "route replace " PAIR_REMOTE4 "/32 dev " PAIR_IF " mtu %u",
		         1200 + below(300));
		pair_ip(&net, false, words);
		return;
	case 1:
		pair_ip(&net, false, "route flush cache");
		return;
	default:
		/* R35 R74: paths become invalid, what hangs below them comes home. */
		pair_ip(&net, false, "route replace unreachable " PAIR_REMOTE4 "/32");
		usleep(5000);
		pair_ip(&net, false, "route del unreachable " PAIR_REMOTE4 "/32");
	}
}

static void random_query(void)
{
	struct chimney_conn_info info = {.size = sizeof(info)};
	struct chimney_stats stats = {.size = sizeof(stats)};

	if (chimney_conn_query(streams[below(CONNS)].conn, &info) || !info.state)
		broken++;
	if (chimney_context_stats(context, &stats) || stats.adopted_now != CONNS)
		broken++;
}

static bool open_streams(int listener)
{
	struct chimney_context_options o = CHIMNEY_CONTEXT_OPTIONS_INIT;

	o.interface = PAIR_IF;
	o.max_connections = 256;
	if (chimney_context_create(&o, &context)) {
		fprintf(stderr, "%s\n", chimney_error());
		return false;
	}
	for (int i = 0; i < CONNS; i++) {
		int fd = pair_accept(&net, listener, PORT, i % 4 == 3);

		if (fd < 0 || chimney_conn_adopt(context, fd, -1, NULL, &streams[i].conn))
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 300;
	uint64_t resets, bytes = 0;
	pthread_t thread;
	int listener;

	rng = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)getpid();
	printf("seed %llu, %d rounds\n", (unsigned long long)rng, rounds);
	if (!pair_setup(&net))
		return 77;
	listener = pair_listen(PORT);
	if (!open_streams(listener))
		return 1;
	pthread_create(&thread, NULL, traffic, NULL);
	for (int i = 0; i < rounds && !wrong && !broken; i++) {
		uint32_t what = below(100);

		if (what < 80)
			random_move();
		else if (what < 97)
			random_query();
		else
			random_change();
	}
	stop = true;
	pthread_join(thread, NULL);
	resets = pair_own_resets() + pair_ask(&net, PAIR_RESETS, 0, false);
	for (int i = 0; i < CONNS; i++)
		bytes += streams[i].received;
	printf("%llu bytes came back, %llu wrong, %llu calls failed, %llu resets\n",
	       (unsigned long long)bytes, (unsigned long long)wrong, (unsigned long long)broken,
	       (unsigned long long)resets);
	chimney_context_destroy(context);
	pair_teardown(&net);
	return wrong || broken || resets || !bytes;
}
