/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The story of `chimney demo` on the real kernel: who is told what, in which order. */
#include "cli/demo.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
	pid_t pid;
	int control;
	const char *name;
};

struct director {
	const struct demo_options *options;
	struct demo_outcome *out;
	struct child server, client;
	u64 resets_before;
};

typedef void (*child_main)(int control, const struct demo_options *options);

/* Forks a process in a network namespace of its own that dies with us. */
static int spawn(struct child *c, const char *name, child_main run,
                 const struct demo_options *options)
{
	pid_t parent = getpid();
	int fds[2];
	u8 ok = 0;

	c->name = name;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return -errno;
	c->pid = fork();
	if (c->pid < 0)
		return -errno;
	if (!c->pid) {
		signal(SIGINT, SIG_IGN); /* a terminal's Ctrl-C is the director's to handle */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		close(fds[0]);
		if (unshare(CLONE_NEWNET))
			_exit(errno == EPERM ? 77 : 78);
		ok = 1;
		if (write(fds[1], &ok, 1) != 1)
			_exit(1);
		run(fds[1], options);
	}
	close(fds[1]);
	c->control = fds[0];
	return read(c->control, &ok, 1) == 1 && ok ? 0 : -EPERM;
}

static void reap(struct child *c)
{
	int status;

	if (c->pid <= 0)
		return;
	close(c->control);
	/* A child ends by itself when its control socket closes; give it a moment, then insist. */
	for (int i = 0; i < 200; i++) {
		if (waitpid(c->pid, &status, WNOHANG) == c->pid) {
			c->pid = 0;
			return;
		}
		usleep(10000);
	}
	kill(c->pid, SIGKILL);
	waitpid(c->pid, &status, 0);
	c->pid = 0;
}

static int tell(struct child *c, u32 order, u32 arg)
{
	struct demo_request q = {order, arg};

	return write(c->control, &q, sizeof(q)) == sizeof(q) ? 0 : -EPIPE;
}

static int hear(struct director *d, struct child *c, struct demo_report *r)
{
	ssize_t n = read(c->control, r, sizeof(*r));

	if (n != sizeof(*r)) {
		snprintf(d->out->text, sizeof(d->out->text), "the %s process ended early", c->name);
		return -EPIPE;
	}
	if (r->error)
		snprintf(d->out->text, sizeof(d->out->text), "%s: %s", c->name, r->text);
	return r->error;
}

static int ask(struct director *d, struct child *c, u32 order, u32 arg, struct demo_report *r)
{
	int err = tell(c, order, arg);

	memset(r, 0, sizeof(*r));
	return err ? err : hear(d, c, r);
}

static void pass_time(u32 seconds)
{
	sleep(seconds);
}

static int setup(struct director *d)
{
	struct demo_report r;
	char text[256] = "";
	int err;

	err = spawn(&d->server, "server", demo_server_main, d->options);
	if (!err)
		err = spawn(&d->client, "client", demo_client_main, d->options);
	if (err) {
		snprintf(d->out->text, sizeof(d->out->text),
		         "a network namespace cannot be made (%s): run as root", strerror(-err));
		return err;
	}
	err = demo_net_setup(d->server.pid, d->client.pid, text, sizeof(text));
	if (err) {
		snprintf(d->out->text, sizeof(d->out->text), "ip: %.200s", text);
		return err;
	}
	err = ask(d, &d->client, DEMO_READY, 0, &r);
	return err ? err : ask(d, &d->server, DEMO_READY, 0, &r);
}

static int open_streams(struct director *d, u32 n, u32 total)
{
	struct demo_report r;
	int err = ask(d, &d->client, DEMO_CONNECT, n, &r);

	if (!err && r.broken) {
		snprintf(d->out->text, sizeof(d->out->text), "client: %s", r.text);
		return -EIO;
	}
	return err ? err : ask(d, &d->server, DEMO_ADOPTED, total, &r);
}

/* The next hop's other router takes over: same address, another MAC. The client's interface takes
 * frames for either, so that no frame is lost that a real switch would have delivered. */
static int change_mac(struct director *d)
{
	static const char mac[] = "02:63:68:6d:79:02";
	const char *const n4[] = {"neigh",        "replace", DEMO_GATEWAY_IP4, "lladdr", mac, "dev",
	                          DEMO_SERVER_IF, "nud",     "permanent",      NULL};
	const char *const n6[] = {"neigh",        "replace", DEMO_GATEWAY_IP6, "lladdr", mac, "dev",
	                          DEMO_SERVER_IF, "nud",     "permanent",      NULL};
	char text[256] = "";
	int err = demo_ip(d->server.pid, text, sizeof(text), n4);

	if (!err)
		err = demo_ip(d->server.pid, text, sizeof(text), n6);
	if (err)
		snprintf(d->out->text, sizeof(d->out->text), "ip neigh: %.200s", text);
	return err;
}

static int change_mtu(struct director *d)
{
	static const char *const r4[] = {
		"route", "change", DEMO_CLIENT_NET4 "0/24", "via", DEMO_GATEWAY_IP4, "mtu",
		"1400",  NULL};
	static const char *const r6[] = {"-6",  "route",          "change", "fd78::/64",
	                                 "via", DEMO_GATEWAY_IP6, "dev",    DEMO_SERVER_IF,
	                                 "mtu", "1400",           NULL};
	char text[256] = "";
	int err = demo_ip(d->server.pid, text, sizeof(text), r4);

	if (!err)
		err = demo_ip(d->server.pid, text, sizeof(text), r6);
	if (err)
		snprintf(d->out->text, sizeof(d->out->text), "ip route: %.200s", text);
	return err;
}

/* Retransmissions at the peers in `seconds` of undisturbed traffic. */
static int control_run(struct director *d, u64 *ret_retransmits)
{
	struct demo_report before, after;
	int err = ask(d, &d->client, DEMO_REPORT, 0, &before);

	if (err)
		return err;
	pass_time(d->options->seconds);
	err = ask(d, &d->client, DEMO_REPORT, 0, &after);
	*ret_retransmits = after.retransmits - before.retransmits;
	return err;
}

static int offload_all(struct director *d, u32 from, struct demo_report *r)
{
	int err = ask(d, &d->server, DEMO_OFFLOAD, from, r);

	if (err)
		return err;
	demo_say("  offloaded %u of them in %.1f ms: %.2f us each, stood still %.2f ms (p50), "
	         "%.2f ms (p99)\n",
	         r->moved, r->elapsed_ns / 1e6, r->move_ns_p50 / 1e3, r->stall_ns_p50 / 1e6,
	         r->stall_ns_p99 / 1e6);
	if (r->refused)
		demo_say("  %u stay in the kernel: %s\n", r->refused, r->text);
	return 0;
}

/* Everything that is changed while the connections live in the target. */
static int changes(struct director *d)
{
	struct demo_report before, after;
	int err = ask(d, &d->server, DEMO_REPORT, 0, &before);

	if (!err)
		err = change_mac(d);
	if (!err)
		demo_say("* ip neigh: the next hop has another MAC\n");
	pass_time(1);
	if (!err)
		err = change_mtu(d);
	if (!err)
		demo_say("* ip route: the path MTU is 1400\n");
	pass_time(1);
	if (!err)
		err = ask(d, &d->server, DEMO_REPORT, 0, &after);
	if (err)
		return err;
	d->out->updates_sent = after.updates - before.updates;
	d->out->paths = after.paths;
	d->out->neighbors = after.neighbors;
	demo_say("  %llu updates to the target: %llu neighbors, %llu paths, %llu connections "
	         "below\n",
	         (unsigned long long)d->out->updates_sent, (unsigned long long)after.neighbors,
	         (unsigned long long)after.paths, (unsigned long long)after.offloaded);
	return 0;
}

static int upload_all(struct director *d)
{
	struct demo_report r;
	int err = ask(d, &d->server, DEMO_UPLOAD, 0, &r);

	if (err)
		return err;
	d->out->uploaded = r.moved;
	d->out->upload_ms = r.elapsed_ns / 1000000;
	d->out->upload_us_p50 = r.move_ns_p50 / 1e3;
	d->out->upload_us_p99 = r.move_ns_p99 / 1e3;
	d->out->stall_us_p50 = max_of(d->out->stall_us_p50, r.stall_ns_p50 / 1e3);
	d->out->stall_us_p99 = max_of(d->out->stall_us_p99, r.stall_ns_p99 / 1e3);
	demo_say("  uploaded %u in %.1f ms: %.2f us each, stood still %.2f ms (p50), %.2f ms "
	         "(p99)\n",
	         r.moved, r.elapsed_ns / 1e6, r.move_ns_p50 / 1e3, r.stall_ns_p50 / 1e6,
	         r.stall_ns_p99 / 1e6);
	if (r.refused)
		demo_say("  %u stay in the target: %s\n", r.refused, r.text);
	return 0;
}

static int finish(struct director *d)
{
	struct demo_report c, s;
	int err = ask(d, &d->client, DEMO_DRAIN, 0, &c);

	/* The order of the end: the server's trickles stop, then all FINs. */
	if (!err)
		err = ask(d, &d->server, DEMO_FINISH, 0, &s);
	if (!err)
		err = ask(d, &d->client, DEMO_FINISH, 0, &c);
	if (!err)
		err = ask(d, &d->server, DEMO_REPORT, 0, &s);
	if (err)
		return err;
	d->out->bytes_verified = c.bytes_verified + s.bytes_verified;
	d->out->bytes_wrong = c.bytes_wrong + s.bytes_wrong;
	d->out->messages = c.messages;
	d->out->broken = c.broken + s.broken;
	d->out->resets = c.resets + s.resets - d->resets_before;
	if (c.messages != s.messages && !d->out->text[0])
		snprintf(d->out->text, sizeof(d->out->text),
		         "the client sent %llu messages, the server saw %llu",
		         (unsigned long long)c.messages, (unsigned long long)s.messages);
	if (d->out->broken)
		snprintf(d->out->text, sizeof(d->out->text), "%s", c.broken ? c.text : s.text);
	return 0;
}

static int story(struct director *d)
{
	const struct demo_options *o = d->options;
	struct demo_report before, after, r;
	u64 control;
	int err;

	demo_say("* two hosts in namespaces; %u streams, cubic at both ends\n", o->connections);
	err = open_streams(d, o->connections, o->connections);
	if (!err)
		err = ask(d, &d->client, DEMO_GO, 0, &r);
	if (!err)
		demo_say("* traffic in the kernel, %u messages/s: the control run\n", o->rate);
	pass_time(o->seconds);
	if (!err)
		err = control_run(d, &control);
	if (!err)
		err = ask(d, &d->client, DEMO_REPORT, 0, &before);
	if (err)
		return err;
	d->out->connections = before.connections + o->extra;
	demo_say("* offload, one call\n");
	err = offload_all(d, 0, &r);
	if (err)
		return err;
	snprintf(d->out->mode, sizeof(d->out->mode), "%.3s", r.mode);
	d->out->offloaded = r.moved;
	d->out->offload_ms = r.elapsed_ns / 1000000;
	d->out->offload_us_p50 = r.move_ns_p50 / 1e3;
	d->out->offload_us_p99 = r.move_ns_p99 / 1e3;
	d->out->stall_us_p50 = r.stall_ns_p50 / 1e3;
	d->out->stall_us_p99 = r.stall_ns_p99 / 1e3;
	pass_time(o->seconds);
	err = changes(d);
	if (!err && o->extra) {
		demo_say("* %u new connections over the same paths\n", o->extra);
		err = open_streams(d, o->extra, o->connections + o->extra);
		if (!err)
			err = offload_all(d, o->connections, &r);
		if (!err)
			d->out->offloaded += r.moved;
	}
	pass_time(o->seconds);
	if (!err)
		demo_say("* upload, one call\n");
	if (!err)
		err = upload_all(d);
	pass_time(o->seconds);
	if (!err)
		err = ask(d, &d->client, DEMO_REPORT, 0, &after);
	if (err)
		return err;
	d->out->peer_retransmissions = (s64)(after.retransmits - before.retransmits) - (s64)control;
	demo_say("* every stream to its end\n");
	return finish(d);
}

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

int demo_run_kernel(const struct demo_options *options, struct demo_outcome *outcome)
{
	struct director d = {.options = options, .out = outcome};
	struct sigaction act = {.sa_handler = on_signal};
	struct rlimit files;
	int err;

	/* One descriptor a stream in each process; no SA_RESTART, so that a signal ends a wait. */
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_max < options->connections + options->extra + 64ull) {
		snprintf(
			outcome->text, sizeof(outcome->text),
			"%u streams need as many descriptors, the limit is %llu: use --connections",
			options->connections + options->extra, (unsigned long long)files.rlim_max);
		return -EMFILE;
	}
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
	err = setup(&d);
	if (!err)
		err = story(&d);
	if (interrupted) {
		snprintf(outcome->text, sizeof(outcome->text), "interrupted by a signal");
		err = -EINTR;
	}
	if (!err) {
		tell(&d.client, DEMO_QUIT, 0);
		tell(&d.server, DEMO_QUIT, 0);
	}
	reap(&d.client);
	reap(&d.server);
	if (!err)
		outcome->ok = outcome->bytes_wrong == 0 && outcome->resets == 0 &&
		              outcome->broken == 0 && !outcome->text[0] &&
		              outcome->offloaded == outcome->connections &&
		              outcome->uploaded == outcome->connections;
	return err;
}
