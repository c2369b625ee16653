/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What a policy of the host answers to a device that would rather not have a connection, and what
 * keeps it from going back and forth. */
#include "host_fake.h"

struct rule {
	enum status answer;
	u64 detail;
	u32 asked;
	u8 reason;
	u16 local_port;
	bool by_admin;
};

static enum status grant(void *ctx, const struct host_candidate *who, enum upload_reason reason,
                         u64 *ret_detail)
{
	struct rule *r = ctx;

	r->asked++;
	r->reason = (u8)reason;
	r->local_port = who->local_port;
	r->by_admin = who->by_admin;
	*ret_detail = r->detail;
	return r->answer;
}

static struct fake *offloaded(u32 n, struct rule *rule)
{
	const struct fake_options o = {.conns = n, .policy = {.grant = grant, .ctx = rule}};
	struct fake *f = fake_create(&o);

	fake_offload(f, 0, n, STATUS_OK);
	return f;
}

static struct host_event last_event(struct fake *f)
{
	struct host_event e[64];
	u32 n = host_log_read(f->host, 0, e, 64);

	assert_int_not_equal(n, 0);
	return e[n - 1];
}

/* By rule, not by name. */
static void offload_by_rule(struct fake *f, u32 conn, enum status status)
{
	f->moves[0] = (struct host_move){.conn = f->handles[conn]};
	assert_int_equal(host_offload(f->host, f->moves, 1, false), 0);
	assert_int_equal(host_run(f->host), 0);
	assert_string_equal(status_word(f->moves[0].status), status_word(status));
}

/* R73: what the device could go on with is the policy's; what is not granted is in the log with its
 * reason, and the connection goes on at the device. */
static void a_policy_may_say_no(void **state)
{
	struct rule rule = {.answer = STATUS_POLICY};
	struct fake *f = offloaded(UPLOAD_REASONS, &rule);
	u32 asked = 0;

	for (u32 i = 0; i < UPLOAD_REASONS; i++) {
		bool final = upload_reason_is_final((enum upload_reason)i);

		rule.detail = i & 1 ? 4711 : 0;
		fake_indicate(f, IND_UPLOAD_REQUEST, i, i);
		asked += !final;
		assert_int_equal(rule.asked, asked);
		if (final)
			continue;
		assert_int_equal(rule.reason, i);
		assert_int_equal(rule.local_port, FAKE_LOCAL_PORT + i);
		assert_true(rule.by_admin);
		assert_int_equal(last_event(f).kind, HOST_EVENT_UPLOAD_IGNORED);
		assert_int_equal(last_event(f).reason, i);
		assert_int_equal(last_event(f).detail, i & 1 ? 4711 : STATUS_POLICY);
	}
	assert_in_range(asked, 1, UPLOAD_REASONS - 1);
	assert_int_equal(host_run(f->host), 0);
	for (u32 i = 0; i < UPLOAD_REASONS; i++)
		assert_int_equal(fake_side(f, i), upload_reason_is_final((enum upload_reason)i)
		                                          ? HOST_IN_STACK
		                                          : HOST_IN_CHIMNEY);
	assert_int_equal(host_counters(f->host)->upload_requests, UPLOAD_REASONS);
	assert_int_equal(host_counters(f->host)->upload_requests_ignored, asked);
	fake_destroy(f);
}

static void a_policy_may_grant(void **state)
{
	struct rule rule = {.answer = STATUS_OK};
	struct fake *f = offloaded(2, &rule);
	struct host_conn_info info;

	fake_indicate(f, IND_UPLOAD_REQUEST, 1, UPLOAD_SMALL_IO);
	assert_int_equal(rule.asked, 1);
	assert_int_equal(last_event(f).kind, HOST_EVENT_UPLOAD_REQUESTED);
	assert_int_equal(host_run(f->host), 0);
	assert_int_equal(fake_side(f, 0), HOST_IN_CHIMNEY);
	assert_int_equal(fake_side(f, 1), HOST_IN_STACK);
	assert_int_equal(host_conn_info(f->host, f->handles[1], &info), 0);
	assert_int_equal(info.asked, UPLOAD_SMALL_IO);
	assert_int_equal(host_conn_info(f->host, f->handles[0], &info), 0);
	assert_int_equal(info.asked, UPLOAD_REASONS);
	fake_destroy(f);
}

/* What came back as a poor candidate stays in the host for a while, except by name. */
static void nothing_goes_back_and_forth(void **state)
{
	struct rule rule = {.answer = STATUS_OK};
	struct fake *f = offloaded(3, &rule);

	for (u32 i = 0; i < 2; i++)
		fake_indicate(f, IND_UPLOAD_REQUEST, i, UPLOAD_LOW_ACTIVITY);
	fake_indicate(f, IND_UPLOAD_REQUEST, 2, UPLOAD_TIMEOUT);
	assert_int_equal(host_run(f->host), 0);
	offload_by_rule(f, 0, STATUS_POOR_CANDIDATE);
	assert_int_equal(f->moves[0].detail, UPLOAD_LOW_ACTIVITY);
	offload_by_rule(f, 2, STATUS_OK); /* not its fault */
	fake_offload(f, 1, 2, STATUS_OK);
	f->now_ns += 59 * NS_PER_S;
	offload_by_rule(f, 0, STATUS_POOR_CANDIDATE);
	f->now_ns += 2 * NS_PER_S;
	offload_by_rule(f, 0, STATUS_OK);
	fake_destroy(f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_policy_may_say_no),
		cmocka_unit_test(a_policy_may_grant),
		cmocka_unit_test(nothing_goes_back_and_forth),
	};

	return RUN_TESTS(tests);
}
