/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * `chimney sim`: runs scenarios of simulated hosts, targets and links in virtual time, many seeds
 * if wanted. A seed that fails is made shorter and written out as a scenario of its own.
 */
#include "cli/sim.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sim/reduce.h"

enum {
	SCENARIOS_MAX = 64,
	REDUCE_RUNS = 600,
	TEXT_MAX = 1 << 20,
};

struct sim_options {
	const char *scenario[SCENARIOS_MAX];
	u32 n_scenarios;
	u64 seed;
	bool seeded;
	u64 seeds;
	u64 seconds; /* 0: as many seeds as asked for */
	const char *trace, *reduced;
	bool json, keep, twice, quiet;
};

static u64 clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}

/* -- files ------------------------------------------------------------------------------------- */

static char *read_file(const char *name)
{
	FILE *f = fopen(name, "r");
	char *text = f ? malloc(TEXT_MAX) : NULL;
	size_t n = text ? fread(text, 1, TEXT_MAX, f) : 0;

	if (!text || n == TEXT_MAX || ferror(f)) {
		fprintf(stderr,
		        "chimney sim: %s: %s\nGive the file of a scenario; chimney-sim(1) shows "
		        "one.\n",
		        name, n == TEXT_MAX ? "larger than 1 MiB" : strerror(errno));
		free(text);
		text = NULL;
	} else {
		text[n] = 0;
	}
	if (f)
		fclose(f);
	return text;
}

/* False: what is wrong was said. */
static bool load(const char *name, u64 seed, bool seeded, struct scenario *ret)
{
	struct scenario_error error;
	char *text = read_file(name);
	bool ok;

	if (!text)
		return false;
	ok = scenario_read(ret, text, seeded ? &seed : NULL, &error);
	free(text);
	if (!ok)
		fprintf(stderr, "%s:%u: %s\n", name, error.line, error.text);
	return ok;
}

/* -- what came of it --------------------------------------------------------------------------- */

static void print_text(const char *name, const struct scenario *s, const struct run_result *r,
                       double real_s)
{
	double virtual_s = (double)r->virtual_ns / 1e9;

	printf("%s seed %llu: %s, trace %016llx; %u connections, %llu moves (each %u or more), "
	       "%llu "
	       "bytes, %u deaths, %llu frames, %llu sent again; %.2f virtual seconds in %.2f, %.1f "
	       "a second\n",
	       name, (unsigned long long)s->world.seed, r->ok ? "ok" : "FAILED",
	       (unsigned long long)r->hash, r->connections, (unsigned long long)r->moves,
	       r->moves_least, (unsigned long long)r->bytes, r->deaths,
	       (unsigned long long)r->frames, (unsigned long long)r->retransmits, virtual_s, real_s,
	       virtual_s / real_s);
	if (!r->ok)
		printf("  %s: %s\n", r->wrong[0] ? check_word(r->check) : "memory",
		       r->wrong[0] ? r->wrong : "there is too little of it for this scenario");
}

static void print_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar((unsigned char)*text < ' ' ? ' ' : *text);
	}
	putchar('"');
}

static void print_json(const char *name, const struct scenario *s, const struct run_result *r,
                       double real_s)
{
	printf("{\"scenario\":");
	print_string(name);
	printf(",\"seed\":%llu,\"ok\":%s,\"trace\":\"%016llx\",\"connections\":%u,\"moves\":%llu,"
	       "\"moves_least\":%u,\"bytes\":%llu,\"deaths\":%u,\"frames\":%llu,\"retransmits\":"
	       "%llu,\"turns\":%llu,\"virtual_s\":%.6f,\"real_s\":%.6f,\"events\":{",
	       (unsigned long long)s->world.seed, r->ok ? "true" : "false",
	       (unsigned long long)r->hash, r->connections, (unsigned long long)r->moves,
	       r->moves_least, (unsigned long long)r->bytes, r->deaths,
	       (unsigned long long)r->frames, (unsigned long long)r->retransmits,
	       (unsigned long long)r->turns, (double)r->virtual_ns / 1e9, real_s);
	for (u32 i = 0; i < EVENTS; i++)
		printf("%s\"%s\":%u", i ? "," : "", event_word((enum event_op)i), r->done[i]);
	printf("},\"outcomes\":{");
	for (u32 i = 0, n = 0; i < STATUSES; i++) {
		if (r->outcome[i])
			printf("%s\"%s\":%u", n++ ? "," : "", status_word((enum status)i),
			       r->outcome[i]);
	}
	printf("},\"checks\":{");
	for (u32 i = 0; i < CHECKS; i++)
		printf("%s\"%s\":%llu", i ? "," : "", check_word((enum check)i),
		       (unsigned long long)r->checks[i]);
	printf("}");
	if (!r->ok) {
		printf(",\"failed\":");
		print_string(check_word(r->check));
		printf(",\"reason\":");
		print_string(r->wrong[0] ? r->wrong : "out of memory");
	}
	printf("}\n");
}

/* -- failures ---------------------------------------------------------------------------------- */

static void reduce(const struct sim_options *o, const char *name, const struct scenario *s,
                   const struct run_result *failed)
{
	struct reduce_report report;
	struct scenario small;
	char file[300];
	FILE *out;

	fprintf(stderr, "making it shorter ...\n");
	if (!reduce_scenario(s, failed, REDUCE_RUNS, &small, &report)) {
		fprintf(stderr, "chimney sim: out of memory\n");
		return;
	}
	snprintf(file, sizeof(file), "failed-%llu.sim", (unsigned long long)s->world.seed);
	if (o->reduced)
		snprintf(file, sizeof(file), "%s", o->reduced);
	out = fopen(file, "w");
	if (out)
		fprintf(out, "# %s, seed %llu, fails: %s: %.300s\n", name,
		        (unsigned long long)s->world.seed, check_word(report.last.check),
		        report.last.wrong);
	if (!out || !scenario_write(&small, out) || fclose(out))
		fprintf(stderr, "chimney sim: %s: %s; choose another file with --reduced\n", file,
		        strerror(errno));
	else
		fprintf(stderr,
		        "%s: %u of %u events, %u of %u connections, after %u runs\n"
		        "chimney sim --scenario %s shows it again\n",
		        file, report.events_after, report.events_before, report.conns_after,
		        report.conns_before, report.runs, file);
	scenario_fini(&small);
}

/* -- running ----------------------------------------------------------------------------------- */

static FILE *open_trace(const struct sim_options *o, bool *ret_ok)
{
	FILE *f = o->trace ? fopen(o->trace, "w") : NULL;

	*ret_ok = f || !o->trace;
	if (!*ret_ok)
		fprintf(stderr, "chimney sim: %s: %s; choose another file with --trace\n", o->trace,
		        strerror(errno));
	return f;
}

/* Runs it again: the trace must be the same. */
static bool again(const struct scenario *s, struct run_result *first)
{
	struct run_result second;

	run_scenario(s, NULL, &second);
	if (second.hash == first->hash)
		return true;
	first->ok = false;
	snprintf(first->wrong, sizeof(first->wrong), "a second run has the trace %016llx",
	         (unsigned long long)second.hash);
	return false;
}

/* 0, 1: it failed, 2: it cannot be run. */
static int run_one(const struct sim_options *o, const char *name, u64 seed, bool seeded)
{
	struct run_result result;
	struct scenario s;
	u64 start, real_ns;
	FILE *trace;
	bool ok;

	if (!load(name, seed, seeded, &s))
		return 2;
	trace = open_trace(o, &ok);
	if (!ok) {
		scenario_fini(&s);
		return 2;
	}
	start = clock_ns();
	ok = run_scenario(&s, trace, &result);
	real_ns = clock_ns() - start;
	if (trace)
		fclose(trace);
	if (ok && o->twice)
		ok = again(&s, &result);
	if (!o->quiet || !ok)
		(o->json ? print_json : print_text)(name, &s, &result, (double)real_ns / 1e9);
	if (!ok && result.wrong[0] && !o->keep)
		reduce(o, name, &s, &result);
	scenario_fini(&s);
	return ok ? 0 : 1;
}

/* Each seed takes the next scenario, so that a time is shared out among them. */
static int run_all(const struct sim_options *o)
{
	u64 until = clock_ns() + o->seconds * NS_PER_S;
	u64 seed = o->seeded || !o->seconds ? o->seed : (u64)time(NULL), n = 0;
	int worst = 0;

	for (;; n++) {
		const char *name = o->scenario[n % o->n_scenarios];
		bool seeded = o->seeded || o->seconds || n >= o->n_scenarios;
		int err;

		if (o->seconds ? clock_ns() >= until : n >= o->seeds * o->n_scenarios)
			break;
		err = run_one(o, name, seed + n / o->n_scenarios, seeded);
		worst = max_of(worst, err);
		if (err == 2)
			break;
	}
	if (n > 1 && !o->json)
		printf("%llu runs, %s\n", (unsigned long long)n, worst ? "some FAILED" : "all ok");
	return worst;
}

/* -- the command ------------------------------------------------------------------------------- */

static int list(void)
{
	printf("events:\n");
	for (u32 i = 0; i < EVENTS; i++)
		printf("  %-16s %s\n", event_word((enum event_op)i),
		       event_sentence((enum event_op)i));
	printf("\nwhat must hold after each of them:\n");
	for (u32 i = 0; i < CHECKS; i++)
		printf("  %-16s %s.\n", check_word((enum check)i), check_sentence((enum check)i));
	return 0;
}

static int usage(FILE *to)
{
	fprintf(to, "usage: chimney sim --scenario FILE [--scenario FILE ...] [options]\n\n"
	            "  -c, --scenario FILE  what is simulated; chimney-sim(1) describes the form\n"
	            "  -s, --seed N         of all that is left to chance, instead of the file's\n"
	            "  -n, --seeds N        so many seeds, from that one on\n"
	            "  -t, --seconds N      new seeds for so many seconds\n"
	            "      --twice          runs each seed twice and compares the traces\n"
	            "      --trace FILE     writes every frame and event\n"
	            "      --reduced FILE   where a shorter scenario goes when one fails\n"
	            "      --no-reduce      does not look for one\n"
	            "      --json           one object a run\n"
	            "  -q, --quiet          says only what failed\n"
	            "      --list           events and checkers\n");
	return to == stderr ? 2 : 0;
}

static bool number(const char *name, const char *text, u64 *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 0);
	if (!errno && end != text && !*end && *text != '-')
		return true;
	fprintf(stderr, "chimney sim: --%s %s: not a number\n", name, text);
	return false;
}

enum { OPT_TRACE = 256, OPT_REDUCED, OPT_NO_REDUCE, OPT_JSON, OPT_LIST, OPT_TWICE };

static const struct option long_options[] = {
	{"scenario", required_argument, NULL, 'c'},
	{"seed", required_argument, NULL, 's'},
	{"seeds", required_argument, NULL, 'n'},
	{"seconds", required_argument, NULL, 't'},
	{"twice", no_argument, NULL, OPT_TWICE},
	{"trace", required_argument, NULL, OPT_TRACE},
	{"reduced", required_argument, NULL, OPT_REDUCED},
	{"no-reduce", no_argument, NULL, OPT_NO_REDUCE},
	{"json", no_argument, NULL, OPT_JSON},
	{"quiet", no_argument, NULL, 'q'},
	{"list", no_argument, NULL, OPT_LIST},
	{"help", no_argument, NULL, 'h'},
	{NULL},
};

/* -1: go on; else the exit status. */
static int option(struct sim_options *o, int c)
{
	switch (c) {
	case 'c':
		if (o->n_scenarios == SCENARIOS_MAX) {
			fprintf(stderr, "chimney sim: more than %u scenarios\n", SCENARIOS_MAX);
			return 2;
		}
		o->scenario[o->n_scenarios++] = optarg;
		return -1;
	case 's':
		o->seeded = true;
		return number("seed", optarg, &o->seed) ? -1 : 2;
	case 'n':
		return number("seeds", optarg, &o->seeds) ? -1 : 2;
	case 't':
		return number("seconds", optarg, &o->seconds) ? -1 : 2;
	case OPT_TRACE:
		o->trace = optarg;
		return -1;
	case OPT_REDUCED:
		o->reduced = optarg;
		return -1;
	case OPT_NO_REDUCE:
		o->keep = true;
		return -1;
	case OPT_JSON:
		o->json = true;
		return -1;
	case OPT_TWICE:
		o->twice = true;
		return -1;
	case 'q':
		o->quiet = true;
		return -1;
	case OPT_LIST:
		return list();
	default:
		return usage(c == 'h' ? stdout : stderr);
	}
}

int sim_main(int argc, char **argv)
{
	struct sim_options o = {.seed = 1, .seeds = 1};
	int c, err;

	while ((c = getopt_long(argc, argv, "c:s:n:t:qh", long_options, NULL)) >= 0) {
		err = option(&o, c);
		if (err >= 0)
			return err;
	}
	if (optind < argc) {
		fprintf(stderr,
		        "chimney sim: \"%s\" is no option; a scenario is given by "
		        "--scenario\n\n",
		        argv[optind]);
		return usage(stderr);
	}
	if (!o.n_scenarios) {
		fprintf(stderr, "chimney sim: no scenario; give one by --scenario\n\n");
		return usage(stderr);
	}
	return run_all(&o);
}
