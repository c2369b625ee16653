/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The binary form of a block list: what goes to another process, another machine, or a file. The
 * same in both directions (R67, R110).
 *
 * All integers are little-endian, nothing is aligned. Header, 64 bytes:
 *
 *    0  8  magic "chimney" and a zero byte
 *    8  2  version, 1
 *   10  2  bytes of the header, 64
 *   12  4  0
 *   16  8  hash of the schema: names, types and classes of all variables, in order
 *   24  8  bytes of the whole form
 *   32  4  number of blocks
 *   36 12  number of states of each layer, neighbors first
 *   48  4  first block, UINT32_MAX: none
 *   52  4  number of inserts
 *   56  8  0
 *
 * Then the blocks by index, each 40 bytes, followed by its state:
 *
 *    0  1  layer
 *    1  1  flags (enum block_flags)
 *    2  1  1: it has a state, 0: none
 *    3  1  0
 *    4  2  status
 *    6  2  0
 *    8  8  next, dependent (4 each)
 *   16 24  host's handle, device's handle, detail (8 each)
 *
 * Behind the blocks the inserts: block (4), kind (2), number of bytes (2), the bytes.
 *
 * A state is the variables of the classes that the flags name and no others (so an upload's form
 * has no CONST, R31), in the order of the schema: numbers in their size, addresses as they are,
 * arrays as one byte of count and the members, the congestion control's bytes as type, version,
 * count and bytes, payload inline as four bytes of length and the bytes.
 */
#ifndef STATE_BINARY_H
#define STATE_BINARY_H

#include "state/block.h"
#include "state/decode.h"

enum {
	BINARY_VERSION = 1,
	BINARY_HEADER_BYTES = 64,
	BINARY_BLOCK_BYTES = 40,
};

/*
 * Writes the form of a list into `out` (`size` bytes; NULL with 0 to learn the size). *ret_bytes is
 * the size of the whole form, also with -ENOSPC: it does not fit, what is in `out` is of no use.
 * -EINVAL: a block's layer or state, a count, or a chain is broken; block_list_check() says what.
 */
int binary_encode(const struct block_list *list, u8 *out, size_t size, u64 *ret_bytes) MUST_CHECK;

/*
 * Reads one form. `list` is empty (block_list_init()), its schema is the one expected, its pool
 * takes the payload. Untrusted input: total on any bytes, time linear in `size`. The result is what
 * was sent, links and all, so it is to be checked before use: block_list_check(). States are
 * numbered anew, in the order of their blocks.
 *
 * On failure the list is empty, no buffer is held, and *ret_error (may be NULL) says why and where.
 * Returns 0 or -EBADMSG.
 */
int binary_decode(struct block_list *list, const u8 *data, size_t size,
                  struct decode_error *ret_error) MUST_CHECK;

#endif
