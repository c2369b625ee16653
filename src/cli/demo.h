/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * `chimney demo`: two hosts in network namespaces of their own, a server that uses libchimney, a
 * client of plain kernel sockets. Three processes: the director (this one, prints), the server and
 * the client, which are told what to do over a socket pair each. Namespaces have no name: they end
 * with their processes, also after kill -9.
 */
#ifndef CLI_DEMO_H
#define CLI_DEMO_H

#include "base/types.h"

#include <sys/types.h>

enum {
	DEMO_PORT = 7077,
	DEMO_CLIENT_ADDRS = 8, /* IPv4 addresses of the client, so that there are several paths */
};

/* Addresses; the client's lie behind a next hop, so that all paths share one neighbor a family. */
#define DEMO_SERVER_IP4  "10.77.0.1"
#define DEMO_GATEWAY_IP4 "10.77.0.2"
#define DEMO_CLIENT_NET4 "10.78.0."
#define DEMO_SERVER_IP6  "fd77::1"
#define DEMO_GATEWAY_IP6 "fd77::2"
#define DEMO_CLIENT_IP6  "fd78::1"
#define DEMO_SERVER_IF   "chimney-s"
#define DEMO_CLIENT_IF   "chimney-c"

struct demo_options {
	u32 connections;
	u32 extra;   /* opened and offloaded later, over the paths that are there */
	u32 seconds; /* of traffic between the steps */
	u32 rate;    /* messages a second, all streams together */
	bool json;
	bool sim;
	bool xdp;
	bool quiet;
	bool log;
	u64 seed; /* --sim */
};

/* What a stream does. Chosen by its number. */
enum demo_kind {
	DEMO_SMALL,       /* requests and answers of 64 to 1,024 bytes */
	DEMO_LARGE,       /* of 16 KiB */
	DEMO_UP,          /* 32 KiB up, little down */
	DEMO_DOWN,        /* little up, 32 KiB down */
	DEMO_HALF_CLIENT, /* the client sends FIN early and goes on receiving */
	DEMO_HALF_SERVER, /* the server sends FIN early and goes on receiving */
	DEMO_IDLE,        /* one exchange at the start, one at the end */
	DEMO_KINDS,
};

enum demo_kind demo_kind_of(u32 stream);

/* Every message up begins with this; the body of `up` bytes follows, then `down` bytes come back.
 */
struct demo_message {
	u32 magic;
	u32 stream;
	u32 up;
	u32 down;
	u32 flags; /* enum demo_message_flags */
};

enum {
	DEMO_MAGIC = 0x63686d79,
	DEMO_MESSAGE_TRICKLE = 1 << 0, /* the server sends `down` bytes now and again until told */
	DEMO_MESSAGE_FIN_AFTER = 1 << 1, /* the server sends FIN after its answer */
};

/* -- orders and reports over the socket pairs ---------------------------------------------------
 */

enum demo_order {
	DEMO_READY,   /* answer once the process is set up */
	DEMO_CONNECT, /* client: open `arg` more streams; answer when all are established */
	DEMO_GO,      /* client: start (or go on with) the traffic */
	DEMO_REPORT,  /* both: answer with the counters */
	DEMO_ADOPTED, /* server: answer once `arg` connections were adopted in all */
	DEMO_OFFLOAD, /* server: offload all from the `arg`th on */
	DEMO_UPLOAD,  /* server: upload all */
	DEMO_DRAIN,   /* client: finish every exchange, let the idle ones speak, wait for answers */
	DEMO_FINISH,  /* server: end the trickles with FIN; client: wait for FINs, close, answer */
	DEMO_QUIT,
};

struct demo_request {
	u32 order;
	u32 arg;
};

struct demo_report {
	u32 order;
	s32 error;
	u32 connections;
	u32 moved; /* offload, upload: how many */
	u32 refused;
	u32 refused_status; /* of the first refused */
	u64 elapsed_ns;     /* of the whole call */
	u32 move_ns_p50, move_ns_p99;
	u32 stall_ns_p50, stall_ns_p99, stall_ns_max;
	u64 bytes_verified;
	u64 bytes_wrong;
	u64 messages;
	u64 retransmits; /* client: sum of tcpi_total_retrans */
	u64 resets;      /* OutRsts + EstabResets of the process's namespace */
	u64 broken;      /* connections that ended in an error */
	u64 updates;     /* server: update calls to the target */
	u64 paths, neighbors, offloaded;
	u64 dropped_by_port, segments_dropped, parked, engine_retransmits;
	u32 cwnd_min_segments; /* client: smallest tcpi_snd_cwnd over all streams */
	char mode[16];
	char text[200]; /* what went wrong, a sentence */
};

/* The processes; they do not return. `control` is their end of the socket pair. */
void demo_server_main(int control, const struct demo_options *options) __attribute__((noreturn));
void demo_client_main(int control, const struct demo_options *options) __attribute__((noreturn));

/* Reads OutRsts + EstabResets of the calling thread's namespace. */
u64 demo_read_resets(void);

/* -- namespaces ---------------------------------------------------------------------------------
 */

/* Runs `ip` with these words (ended by NULL) inside the network namespace of process `pid`, 0:
 * here. 0 or -Exxx; `text` gets what ip said. */
int demo_ip(pid_t pid, char *text, size_t text_len, const char *const words[]);

/* The veth pair between two processes' namespaces, addresses and routes. */
int demo_net_setup(pid_t server, pid_t client, char *text, size_t text_len);

/* The client's interface takes frames for any MAC, as both routers of a VRRP pair together would.
 * Called in the client's namespace. */
int demo_net_accept_any_mac(const char *interface);

/* -- the story, told twice -----------------------------------------------------------------------
 */

struct demo_outcome;
int demo_run_kernel(const struct demo_options *options, struct demo_outcome *outcome);
int demo_run_sim(const struct demo_options *options, struct demo_outcome *outcome);

/* What both stories end with. */
struct demo_outcome {
	bool ok;
	char mode[16];
	u32 connections, offloaded, uploaded;
	u64 resets, bytes_verified, bytes_wrong;
	s64 peer_retransmissions;
	u64 updates_sent;
	double offload_us_p50, offload_us_p99, upload_us_p50, upload_us_p99;
	double stall_us_p50, stall_us_p99;
	u64 messages, broken, paths, neighbors;
	u64 offload_ms, upload_ms;
	char text[256]; /* why it is not ok, or why another mode was taken */
};

/* Progress, to standard error unless --json or --quiet: printf-like. */
void demo_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void demo_say_init(bool on);

int demo_main(int argc, char **argv);

#endif
