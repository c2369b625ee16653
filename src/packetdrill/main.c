/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* chimney-packetdrill: runs packet scripts against libchimney-packetdrill.so. */
#include <dlfcn.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "packetdrill/run.h"

enum {
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	OFFLOADS = 3, /* --all moves after each 1, 2, 3 events */
};

static const char usage[] =
	"usage: chimney-packetdrill [OPTION ...] SCRIPT ...\n"
	"\n"
	"Runs packet scripts (packetdrill's language) against our stack in virtual time.\n"
	"\n"
	"  --offload N   all connections change sides (host stack, target) after N events each\n"
	"  --line L      all connections are at the target while the event of line L happens\n"
	"  --whole       all connections are at the target whenever they can be\n"
	"  --all         all of these: plain, --offload 1, 2, 3, --whole, --line of each event\n"
	"  --strict      no packet may be left over, timestamps must fit\n"
	"  --flags TEXT  flags of the shared object (src/packetdrill/interface.h)\n"
	"  --so FILE     another shared object\n"
	"\n"
	"Prints the first fault of each script; ends with 0, with 1 when a script failed, with 2\n"
	"when one could not be read.\n";

struct options {
	struct run_config config;
	u32 offload;
	bool all;
	const char *so;
	const char *flags;
};

struct totals {
	u32 scripts, runs, failed, unread;
	u32 moved_runs; /* in which a connection was at the target */
};

/* -- one script -------------------------------------------------------------------------------- */

static bool run_once(const struct script *s, const struct options *o, const char *how,
                     struct totals *t)
{
	struct run *r = calloc(1, sizeof(*r));
	bool ok;

	if (!r)
		return false;
	ok = run_script(r, s, &o->config);
	if (!ok)
		fprintf(stderr, "%s%s\n", r->error, how);
	t->runs++;
	t->moved_runs += r->moved != 0;
	run_free(r);
	free(r);
	return ok;
}

static bool run_offload(const struct script *s, const struct options *o, u32 every,
                        struct totals *t)
{
	struct options one = *o;
	char flags[300], how[64] = "";

	snprintf(flags, sizeof(flags), "%s%soffload=%u", o->flags, o->flags[0] ? "," : "", every);
	one.config.flags = flags;
	one.config.moves = true;
	if (o->all)
		snprintf(how, sizeof(how), "\n  (with --offload %u)", every);
	return run_once(s, &one, how, t);
}

static bool run_lines(const struct script *s, const struct options *o, struct totals *t)
{
	struct options one = *o;
	char how[64];
	bool ok = true;

	for (const struct event *e = s->events; e && ok; e = e->next) {
		if (e->kind == EVENT_COMMAND || e->line == (int)one.config.move_line)
			continue;
		one.config.move_line = (u32)e->line;
		one.config.moves = true;
		snprintf(how, sizeof(how), "\n  (with --line %d)", e->line);
		ok = run_once(s, &one, how, t);
	}
	return ok;
}

static bool run_all(const struct script *s, const struct options *o, struct totals *t)
{
	struct options whole = *o;

	whole.config.move_whole = whole.config.moves = true;
	if (!run_once(s, o, "", t))
		return false;
	if (!s->moves)
		return true;
	for (u32 n = 1; n <= OFFLOADS; n++) {
		if (!run_offload(s, o, n, t))
			return false;
	}
	return run_once(s, &whole, "\n  (with --whole)", t) && run_lines(s, o, t);
}

static void run_file(const char *file, const struct options *o, struct totals *t)
{
	struct script s;
	bool ok;

	if (!script_read(&s, file)) {
		fprintf(stderr, "%s\n", s.error);
		t->unread++;
	} else {
		t->scripts++;
		if (o->all)
			ok = run_all(&s, o, t);
		else if (o->offload)
			ok = run_offload(&s, o, o->offload, t);
		else
			ok = run_once(&s, o, "", t);
		t->failed += !ok;
	}
	script_free(&s);
}

/* -- the shared object ------------------------------------------------------------------------- */

/* It lies in the root of the build directory, two above this program. */
static void default_so(char path[PATH_MAX])
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[max_of(n, (ssize_t)0)] = 0;
	snprintf(path, PATH_MAX, "%.3900s/../../libchimney-packetdrill.so", dirname(self));
}

static bool load(struct options *o)
{
	char path[PATH_MAX];
	void *so;

	default_so(path);
	so = dlopen(o->so ? o->so : path, RTLD_NOW | RTLD_LOCAL);
	if (!so) {
		fprintf(stderr,
		        "chimney-packetdrill: %s; build it with ninja, or name it with --so\n",
		        dlerror());
		return false;
	}
	*(void **)&o->config.init = dlsym(so, "packetdrill_interface_init");
	*(void **)&o->config.move = dlsym(so, "chimney_packetdrill_move");
	*(void **)&o->config.waits = dlsym(so, "chimney_packetdrill_waits");
	if (o->config.init && o->config.move && o->config.waits)
		return true;
	fprintf(stderr, "chimney-packetdrill: %s is not ours: it lacks functions\n",
	        o->so ? o->so : path);
	return false;
}

static bool read_number(const char *name, const char *text, u32 *ret)
{
	char *end;
	long n = strtol(text, &end, 10);

	*ret = (u32)n;
	if (*end || n < 1 || n > INT_MAX) {
		fprintf(stderr, "chimney-packetdrill: --%s %s: give a number of at least 1\n", name,
		        text);
		return false;
	}
	return true;
}

static bool read_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"offload", required_argument, NULL, 'o'},
		{"line", required_argument, NULL, 'l'},
		{"whole", no_argument, NULL, 'w'},
		{"all", no_argument, NULL, 'a'},
		{"strict", no_argument, NULL, 's'},
		{"flags", required_argument, NULL, 'f'},
		{"so", required_argument, NULL, 'S'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	*o = (struct options){.flags = ""};
	while ((c = getopt_long(argc, argv, "", longs, NULL)) >= 0) {
		if (c == 'o' && !read_number("offload", optarg, &o->offload))
			return false;
		if (c == 'l' && !read_number("line", optarg, &o->config.move_line))
			return false;
		if (c == 'h') {
			fputs(usage, stdout);
			exit(0);
		}
		if (c == '?')
			return false;
		o->config.move_whole |= c == 'w';
		o->all |= c == 'a';
		o->config.strict |= c == 's';
		o->flags = c == 'f' ? optarg : o->flags;
		o->so = c == 'S' ? optarg : o->so;
	}
	o->config.flags = o->flags;
	o->config.moves = o->config.move_line || o->config.move_whole;
	if (optind < argc)
		return true;
	fputs(usage, stderr);
	return false;
}

int main(int argc, char **argv)
{
	struct options o;
	struct totals t = {0};

	if (!read_options(argc, argv, &o) || !load(&o))
		return EXIT_USAGE;
	for (int i = optind; i < argc; i++)
		run_file(argv[i], &o, &t);
	printf("%u scripts, %u runs, %u with connections at the target, %u scripts failed\n",
	       t.scripts, t.runs, t.moved_runs, t.failed);
	if (t.unread)
		return EXIT_USAGE;
	return t.failed ? EXIT_FAILED : 0;
}
