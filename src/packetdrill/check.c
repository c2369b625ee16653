/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * %{ }%: packetdrill runs Python there. We understand lines "assert FIELD OP NUMBER" (and ", ..."
 * behind them, parentheses, "and"), where FIELD is one of struct tcp_info of the last connection.
 */
#include <ctype.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "packetdrill/run.h"

#define INFO(f)                                                                     \
	{                                                                           \
#f, offsetof(struct tcp_info, f), sizeof(((struct tcp_info *)0)->f) \
	}

static const struct info_field {
	const char *name;
	size_t off, size;
} fields[] = {
	INFO(tcpi_state),
	INFO(tcpi_ca_state),
	INFO(tcpi_retransmits),
	INFO(tcpi_probes),
	INFO(tcpi_backoff),
	INFO(tcpi_options),
	INFO(tcpi_rto),
	INFO(tcpi_ato),
	INFO(tcpi_snd_mss),
	INFO(tcpi_rcv_mss),
	INFO(tcpi_unacked),
	INFO(tcpi_sacked),
	INFO(tcpi_lost),
	INFO(tcpi_retrans),
	INFO(tcpi_last_data_sent),
	INFO(tcpi_last_data_recv),
	INFO(tcpi_pmtu),
	INFO(tcpi_rcv_ssthresh),
	INFO(tcpi_rtt),
	INFO(tcpi_rttvar),
	INFO(tcpi_snd_ssthresh),
	INFO(tcpi_snd_cwnd),
	INFO(tcpi_advmss),
	INFO(tcpi_reordering),
	INFO(tcpi_rcv_rtt),
	INFO(tcpi_rcv_space),
	INFO(tcpi_total_retrans),
	INFO(tcpi_pacing_rate),
	INFO(tcpi_bytes_acked),
	INFO(tcpi_bytes_received),
	INFO(tcpi_notsent_bytes),
	INFO(tcpi_min_rtt),
	INFO(tcpi_snd_wnd),
};

/* Names of numbers that such lines use. */
static const struct {
	const char *name;
	s64 value;
} constants[] = {
	{"TCP_CA_Open", 0},
	{"TCP_CA_Disorder", 1},
	{"TCP_CA_CWR", 2},
	{"TCP_CA_Recovery", 3},
	{"TCP_CA_Loss", 4},
	{"TCP_INFINITE_SSTHRESH", 0x7fffffff},
	{"TCP_ESTABLISHED", 1},
	{"TCP_SYN_SENT", 2},
	{"TCP_SYN_RECV", 3},
	{"TCP_FIN_WAIT1", 4},
	{"TCP_FIN_WAIT2", 5},
	{"TCP_TIME_WAIT", 6},
	{"TCP_CLOSE", 7},
	{"TCP_CLOSE_WAIT", 8},
	{"TCP_LAST_ACK", 9},
	{"TCP_LISTEN", 10},
	{"TCP_CLOSING", 11},
	{"TCPI_OPT_TIMESTAMPS", TCPI_OPT_TIMESTAMPS},
	{"TCPI_OPT_SACK", TCPI_OPT_SACK},
	{"TCPI_OPT_WSCALE", TCPI_OPT_WSCALE},
	{"TCPI_OPT_ECN", TCPI_OPT_ECN},
};

struct check {
	struct run *r;
	const struct event *e;
	const struct tcp_info *info;
	const char *at;
};

static void blanks(struct check *c)
{
	while (isspace((unsigned char)*c->at) || *c->at == '(' || *c->at == ')')
		c->at++;
}

static bool field_value(const struct check *c, const char *name, size_t n, s64 *ret)
{
	for (u32 i = 0; i < ARRAY_SIZE(fields); i++) {
		u64 v = 0;

		if (strlen(fields[i].name) != n || strncmp(fields[i].name, name, n))
			continue;
		memcpy(&v, (const u8 *)c->info + fields[i].off, fields[i].size);
		*ret = (s64)v;
		return true;
	}
	/* Two that are bit fields. */
	if (n == 15 && !strncmp(name, "tcpi_snd_wscale", n))
		*ret = c->info->tcpi_snd_wscale;
	else if (n == 15 && !strncmp(name, "tcpi_rcv_wscale", n))
		*ret = c->info->tcpi_rcv_wscale;
	else
		return false;
	return true;
}

static bool operand(struct check *c, s64 *ret)
{
	const char *from;
	char *end;

	blanks(c);
	from = c->at;
	if (isdigit((unsigned char)*c->at) || *c->at == '-') {
		*ret = strtoll(c->at, &end, 0);
		c->at = end;
		return true;
	}
	while (isalnum((unsigned char)*c->at) || *c->at == '_')
		c->at++;
	for (u32 i = 0; i < ARRAY_SIZE(constants); i++) {
		if (strlen(constants[i].name) == (size_t)(c->at - from) &&
		    !strncmp(constants[i].name, from, (size_t)(c->at - from))) {
			*ret = constants[i].value;
			return true;
		}
	}
	if (field_value(c, from, (size_t)(c->at - from), ret))
		return true;
	return run_fail(c->r, c->e,
	                "\"%.*s\" is no field of tcp_info that we know; only \"assert FIELD == "
	                "NUMBER\" is understood",
	                (int)min_of(strcspn(from, "\n"), (size_t)40), from);
}

static bool holds(const char *op, s64 a, s64 b)
{
	if (!strcmp(op, "=="))
		return a == b;
	if (!strcmp(op, "!="))
		return a != b;
	if (!strcmp(op, "<="))
		return a <= b;
	if (!strcmp(op, ">="))
		return a >= b;
	return !strcmp(op, "<") ? a < b : a > b;
}

static bool comparison(struct check *c)
{
	const char *from = (blanks(c), c->at);
	char op[3] = "";
	s64 a, b;

	if (!operand(c, &a))
		return false;
	blanks(c);
	for (u32 i = 0; i < 2 && strchr("=!<>", *c->at) && *c->at; i++)
		op[i] = *c->at++;
	if (!op[0] || !strcmp(op, "="))
		return run_fail(c->r, c->e, "\"%.*s\" has no comparison (==, !=, <, >, <=, >=)",
		                (int)min_of(strcspn(from, "\n"), (size_t)40), from);
	if (!operand(c, &b))
		return false;
	return holds(op, a, b) ||
	       run_fail(c->r, c->e, "\"%.*s\" does not hold: %lld %s %lld", (int)(c->at - from),
	                from, (long long)a, op, (long long)b);
}

static bool assertion(struct check *c)
{
	for (;;) {
		if (!comparison(c))
			return false;
		blanks(c);
		if (strncmp(c->at, "and ", 4))
			break;
		c->at += 4;
	}
	c->at += strcspn(c->at, "\n;"); /* what Python would print */
	return true;
}

bool run_check(struct run *r, const struct event *e)
{
	struct script_fd *fd = run_fd(r, r->last_fd);
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	struct check c = {.r = r, .e = e, .info = &info, .at = e->text};

	if (!fd)
		return run_fail(r, e,
		                "there is no connection to check; accept() or connect() first");
	if (r->ifc.getsockopt(r->ifc.userdata, fd->live, IPPROTO_TCP, TCP_INFO, &info, &len))
		return run_fail(r, e, "TCP_INFO: %s", strerror(errno));
	for (;;) {
		while (isspace((unsigned char)*c.at) || *c.at == ';')
			c.at++;
		if (!*c.at)
			return true;
		if (!strncmp(c.at, "assert", 6))
			c.at += 6;
		if (!assertion(&c))
			return false;
	}
}
