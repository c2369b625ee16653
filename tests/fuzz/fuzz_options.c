// SPDX-License-Identifier: BSD-2-Clause-Patent
/* Any bytes as TCP options, and as a TCP header. */
#include "fuzz.h"

#include "wire/tcp.h"

static void try_options(const u8 *p, u32 len, bool syn)
{
	struct wire_tcp_options options, again;
	u8 bytes[64];
	u32 n;

	memset(&options, 0, sizeof(options));
	if (wire_tcp_options_parse(p, len, syn, &options))
		return;
	FUZZ_MUST(options.n_sack <= WIRE_SACK_MAX);
	n = wire_tcp_options_bytes(&options);
	if (n > 40) /* understood, but not such that padding leaves room for it */
		return;
	FUZZ_MUST(wire_tcp_options_write(bytes, &options) == n);
	memset(&again, 0, sizeof(again));
	FUZZ_MUST(!wire_tcp_options_parse(bytes, n, syn, &again));
	FUZZ_MUST(again.present == options.present && again.n_sack == options.n_sack);
	if (options.present & WIRE_OPT_TIMESTAMPS)
		FUZZ_MUST(again.ts_val == options.ts_val && again.ts_ecr == options.ts_ecr);
	FUZZ_MUST(!memcmp(again.sack, options.sack, options.n_sack * sizeof(options.sack[0])));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct wire_tcp tcp;

	if (size > 64)
		return 0;
	if (size <= 40) {
		try_options(data, (u32)size, false);
		try_options(data, (u32)size, true);
	}
	if (!wire_tcp_parse(data, (u32)size, &tcp))
		FUZZ_MUST(tcp.header_bytes <= size);
	return 0;
}
