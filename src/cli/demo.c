/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* `chimney demo`: options, which story is told, and the table or JSON object at the end. */
#include "cli/demo.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static bool say_on;

void demo_say_init(bool on)
{
	say_on = on;
}

void demo_say(const char *format, ...)
{
	va_list ap;

	if (!say_on)
		return;
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
}

static const char usage[] =
	"usage: chimney demo [options]\n"
	"\n"
	"Moves live TCP connections out of the kernel into an offload target and back, in the\n"
	"middle of their traffic, and verifies every byte.\n"
	"\n"
	"  -n, --connections N  streams (default 10000)\n"
	"  -x, --extra N        streams opened and offloaded later (default: a tenth)\n"
	"  -t, --seconds N      of traffic between the steps (default 2)\n"
	"  -r, --rate N         messages a second, all streams together (default 8000)\n"
	"      --xdp            port in XDP mode (AF_XDP) instead of TAP mode\n"
	"      --sim            on the simulated wire: needs no privileges\n"
	"      --seed N         of the simulated wire\n"
	"      --log            print the library's log of events\n"
	"      --json           print one JSON object and nothing else\n"
	"  -q, --quiet          only the table\n"
	"  -h, --help\n";

static const struct option long_options[] = {
	{"connections", required_argument, NULL, 'n'},
	{"extra", required_argument, NULL, 'x'},
	{"seconds", required_argument, NULL, 't'},
	{"rate", required_argument, NULL, 'r'},
	{"xdp", no_argument, NULL, 'X'},
	{"sim", no_argument, NULL, 'S'},
	{"seed", required_argument, NULL, 'e'},
	{"log", no_argument, NULL, 'l'},
	{"json", no_argument, NULL, 'j'},
	{"quiet", no_argument, NULL, 'q'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int parse_number(const char *name, const char *text, u64 max, u64 *ret)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || v > max) {
		fprintf(stderr, "chimney demo: %s: \"%s\" is no number from 0 to %llu\n", name,
		        text, (unsigned long long)max);
		return -EINVAL;
	}
	*ret = v;
	return 0;
}

static int parse_options(int argc, char **argv, struct demo_options *o)
{
	u64 n = 10000, x = UINT64_MAX, t = 2, r = 8000, seed = 1;
	int c, err = 0;

	while (!err && (c = getopt_long(argc, argv, "n:x:t:r:qh", long_options, NULL)) != -1) {
		switch (c) {
		case 'n':
			err = parse_number("--connections", optarg, 1000000, &n);
			break;
		case 'x':
			err = parse_number("--extra", optarg, 1000000, &x);
			break;
		case 't':
			err = parse_number("--seconds", optarg, 3600, &t);
			break;
		case 'r':
			err = parse_number("--rate", optarg, 10000000, &r);
			break;
		case 'e':
			err = parse_number("--seed", optarg, UINT64_MAX, &seed);
			break;
		case 'X':
			o->xdp = true;
			break;
		case 'S':
			o->sim = true;
			break;
		case 'l':
			o->log = true;
			break;
		case 'j':
			o->json = true;
			break;
		case 'q':
			o->quiet = true;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			err = -EINVAL;
		}
	}
	if (!err && optind < argc) {
		fprintf(stderr, "chimney demo: \"%s\" is no option; see chimney demo --help\n",
		        argv[optind]);
		err = -EINVAL;
	}
	if (!err && !n) {
		fprintf(stderr, "chimney demo: --connections must be at least 1\n");
		err = -EINVAL;
	}
	o->connections = (u32)n;
	o->extra = (u32)(x == UINT64_MAX ? n / 10 : x);
	o->seconds = (u32)t;
	o->rate = (u32)r;
	o->seed = seed;
	return err;
}

static void print_text_json(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putchar('\\');
		if ((unsigned char)*s >= 0x20)
			putchar(*s);
	}
	putchar('"');
}

static void print_json(const struct demo_outcome *o)
{
	printf("{\"ok\":%s,\"mode\":\"%s\",\"connections\":%u,\"offloaded\":%u,\"uploaded\":%u,",
	       o->ok ? "true" : "false", o->mode, o->connections, o->offloaded, o->uploaded);
	printf("\"resets\":%llu,\"bytes_verified\":%llu,\"bytes_wrong\":%llu,",
	       (unsigned long long)o->resets, (unsigned long long)o->bytes_verified,
	       (unsigned long long)o->bytes_wrong);
	printf("\"peer_retransmissions\":%lld,\"updates_sent\":%llu,",
	       (long long)o->peer_retransmissions, (unsigned long long)o->updates_sent);
	printf("\"offload_us_p50\":%.3f,\"offload_us_p99\":%.3f,", o->offload_us_p50,
	       o->offload_us_p99);
	printf("\"upload_us_p50\":%.3f,\"upload_us_p99\":%.3f,", o->upload_us_p50,
	       o->upload_us_p99);
	printf("\"stall_us_p50\":%.1f,\"stall_us_p99\":%.1f", o->stall_us_p50, o->stall_us_p99);
	if (o->text[0]) {
		printf(",\"reason\":");
		print_text_json(o->text);
	}
	printf("}\n");
}

static void print_table(const struct demo_outcome *o)
{
	printf("\n  mode                   %s\n", o->mode);
	printf("  connections            %u\n", o->connections);
	printf("  offloaded, uploaded    %u, %u\n", o->offloaded, o->uploaded);
	printf("  offload, p50 and p99   %.2f, %.2f us each\n", o->offload_us_p50,
	       o->offload_us_p99);
	printf("  upload, p50 and p99    %.2f, %.2f us each\n", o->upload_us_p50, o->upload_us_p99);
	printf("  stood still, p50, p99  %.2f, %.2f ms\n", o->stall_us_p50 / 1e3,
	       o->stall_us_p99 / 1e3);
	printf("  updates to the target  %llu\n", (unsigned long long)o->updates_sent);
	printf("  messages               %llu\n", (unsigned long long)o->messages);
	printf("  bytes verified, wrong  %llu, %llu\n", (unsigned long long)o->bytes_verified,
	       (unsigned long long)o->bytes_wrong);
	printf("  resets                 %llu\n", (unsigned long long)o->resets);
	printf("  peers' retransmissions %lld more than in the control run\n",
	       (long long)o->peer_retransmissions);
	if (o->text[0])
		printf("  note                   %s\n", o->text);
	printf("  %s\n", o->ok ? "ok: the peers could not tell" : "NOT OK");
}

int demo_main(int argc, char **argv)
{
	struct demo_options options = {0};
	struct demo_outcome outcome = {0};
	int err = parse_options(argc, argv, &options);

	if (err)
		return 2;
	demo_say_init(!options.json && !options.quiet);
	snprintf(outcome.mode, sizeof(outcome.mode), "%s",
	         options.sim   ? "sim"
	         : options.xdp ? "xdp"
	                       : "tap");
	if (!options.sim) {
		err = demo_run_kernel(&options, &outcome);
		if (err == -EPERM || err == -EOPNOTSUPP) {
			char why[sizeof(outcome.text)];

			memcpy(why, outcome.text, sizeof(why));
			demo_say("%s: the same story on the simulated wire\n", why);
			memset(&outcome, 0, sizeof(outcome));
			options.sim = true;
			err = demo_run_sim(&options, &outcome);
			if (!err && !outcome.text[0])
				memcpy(outcome.text, why, sizeof(why));
		}
	} else {
		err = demo_run_sim(&options, &outcome);
	}
	if (err && !outcome.text[0])
		snprintf(outcome.text, sizeof(outcome.text), "%s", strerror(-err));
	if (options.json)
		print_json(&outcome);
	else
		print_table(&outcome);
	return outcome.ok ? 0 : 1;
}
