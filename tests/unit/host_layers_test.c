/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What each layer of the host keeps of an offload: its own handle, its own dispatch table. */
#include "host_fake.h"
#include "offload/request.h"

/* A device whose three layers have tables of their own, which count. */
static u32 updates[LAYERS];
static const struct layer_ops *real;

#define LAYER_OF(l)                                                              \
	static int update_##l(void *device, struct offload_request *request)     \
	{                                                                        \
		updates[l]++;                                                    \
		return real->update(device, request);                            \
	}                                                                        \
	static int query_##l(void *device, struct offload_request *request)      \
	{                                                                        \
		return real->query(device, request);                             \
	}                                                                        \
	static int invalidate_##l(void *device, struct offload_request *request) \
	{                                                                        \
		return real->invalidate(device, request);                        \
	}                                                                        \
	static const struct layer_ops layer_##l = {update_##l, invalidate_##l, query_##l}

LAYER_OF(0);
LAYER_OF(1);
LAYER_OF(2);

static struct fake *with_tables(u32 conns)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = conns});

	memset(updates, 0, sizeof(updates));
	real = f->device.layer[0];
	f->device.layer[LAYER_NEIGHBOR] = &layer_0;
	f->device.layer[LAYER_PATH] = &layer_1;
	f->device.layer[LAYER_TCP] = &layer_2;
	return f;
}

/* R26, R50: after an offload each layer calls by the table, and with the handle, that the
 * completion brought for it: the device finds its own objects. */
static void each_layer_has_its_own(void **state)
{
	struct fake *f = with_tables(16); /* two neighbors, four paths */
	struct mac_addr mac = {{2, 9, 9, 9, 9, 9}};
	struct neighbor_key n = fake_neighbor_key(1);
	struct path_key p = fake_path_key(2);
	struct tcp_cached settings = f->conn[9].settings;
	const struct block_list *list;

	fake_offload(f, 0, 16, STATUS_OK);
	assert_int_equal(host_neighbor_changed(f->host, &n, &mac, LINK_DIX), 0);
	assert_int_equal(updates[LAYER_NEIGHBOR], 1);
	assert_int_equal(f->handles_in[LAYER_NEIGHBOR], 1);
	assert_int_equal(f->handles_in[LAYER_PATH] + f->handles_in[LAYER_TCP], 0);
	assert_int_equal(host_path_mtu(f->host, &p, 1400), 0);
	assert_int_equal(updates[LAYER_PATH], 1);
	assert_int_equal(f->handles_in[LAYER_PATH], 1);
	assert_int_equal(f->handles_in[LAYER_NEIGHBOR] + f->handles_in[LAYER_TCP], 0);
	settings.hop_limit = 7;
	f->conn[9].settings = settings;
	assert_int_equal(host_conn_settings(f->host, f->handles[9], &settings), 0);
	assert_int_equal(updates[LAYER_TCP], 1);
	assert_int_equal(updates[LAYER_NEIGHBOR] + updates[LAYER_PATH], 2);
	for (u32 i = 0; i < FAKE_CONNS; i++) {
		bool is = f->device_conn[i].used &&
		          f->device_conn[i].state.k.local_port == FAKE_LOCAL_PORT + 9;

		if (f->device_conn[i].used)
			assert_int_equal(f->device_conn[i].state.c.hop_limit, is ? 7 : 64);
	}
	/* The request that hands the state over has all handles again, for the device. */
	list = f->last[BLOCK_CALL_OFFLOAD].list;
	assert_int_equal(offload_list_count(list, STATUS_OK), list->n_blocks);
	fake_upload(f, 0, 16, STATUS_OK);
	fake_expect_objects(f, 0, 0, 0);
	fake_destroy(f);
}

/* R50, R51: a table that is replaced while connections live is the one that is called from then on.
 */
static void tables_may_be_replaced(void **state)
{
	struct fake *f = with_tables(4);
	struct path_key p = fake_path_key(0);

	f->device.layer[LAYER_PATH] = real;
	fake_offload(f, 0, 4, STATUS_OK);
	assert_int_equal(host_path_mtu(f->host, &p, 1400), 0);
	assert_int_equal(updates[LAYER_PATH], 0);
	f->device.layer[LAYER_PATH] = &layer_1;
	assert_int_equal(host_path_mtu(f->host, &p, 1300), 0);
	assert_int_equal(updates[LAYER_PATH], 1);
	fake_upload(f, 0, 4, STATUS_OK);
	fake_destroy(f);
}

/* R16: what the device says of itself is asked for before each move, and acted on: lists are cut to
 * what it takes, and after a resume anew. */
static void capabilities_are_asked_for(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = 24});

	f->max_list_blocks = 9;
	fake_offload(f, 0, 12, STATUS_OK);
	assert_int_equal(f->calls[BLOCK_CALL_OFFLOAD], 2 * 12 / 3);
	f->max_list_blocks = 36;
	memset(f->calls, 0, sizeof(f->calls));
	fake_offload(f, 12, 24, STATUS_OK);
	assert_int_equal(f->calls[BLOCK_CALL_OFFLOAD], 2);
	f->max_list_blocks = 9;
	fake_indicate(f, IND_RESUME, NIL, 0);
	memset(f->calls, 0, sizeof(f->calls));
	fake_upload(f, 0, 24, STATUS_OK);
	assert_int_equal(f->calls[BLOCK_CALL_UPLOAD], 24 / 3);
	fake_destroy(f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_layer_has_its_own),
		cmocka_unit_test(tables_may_be_replaced),
		cmocka_unit_test(capabilities_are_asked_for),
	};

	return RUN_TESTS(tests);
}
