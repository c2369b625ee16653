/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The suites against published vectors, and what a store of keys promises. */
#include "unit.h"

#include <errno.h>

#include <openssl/crypto.h>

#include "captures.h"
#include "crypto/crypto.h"

enum { TEXT_MAX = 2048 };

static u64 allocations;

static void *count_malloc(size_t n, const char *file, int line)
{
	allocations++;
	return malloc(n);
}

static void *count_realloc(void *p, size_t n, const char *file, int line)
{
	allocations++;
	return realloc(p, n);
}

static void count_free(void *p, const char *file, int line)
{
	free(p);
}

struct rig {
	struct crypto *crypto;
	struct cipher_env env;
	struct cipher *c;
	const struct cipher_shape *shape;
	u8 wire[TEXT_MAX]; /* IV, data, ICV */
	struct cipher_text t;
};

static void rig_key(struct rig *r, u32 suite, const char *key_hex)
{
	u8 key[CIPHER_KEY_BYTES_MAX];
	u32 len = capture_bytes(key_hex, key);
	u64 number;

	assert_int_equal(crypto_create(4, &r->crypto), 0);
	r->env = crypto_env(r->crypto);
	assert_int_equal(crypto_key_add(r->crypto, suite, key, len, &number), 0);
	assert_int_equal(r->env.ops->setup(r->env.impl, suite, number, &r->c), 0);
	r->shape = cipher_shape(suite);
	r->t = (struct cipher_text){.iv = r->wire, .data = r->wire + r->shape->iv_bytes};
}

static void rig_free(struct rig *r)
{
	r->env.ops->discard(r->env.impl, r->c);
	crypto_destroy(r->crypto);
}

static u64 number_of(const char *hex)
{
	u8 b[8];
	u64 v = 0;

	assert_int_equal(capture_bytes(hex, b), 8);
	for (u32 i = 0; i < 8; i++)
		v = v << 8 | b[i];
	return v;
}

/* Seals, compares, opens, and finds every single changed byte. */
static void vector(u32 suite, const char *key, const char *iv, const char *aad_hex,
                   const char *plain, const char *sealed, const char *icv)
{
	u8 aad[64], text[TEXT_MAX], want[TEXT_MAX], tag[16];
	u32 n_aad = capture_bytes(aad_hex, aad), n = capture_bytes(plain, text);
	struct rig r = {0};
	u32 all;

	assert_int_equal(capture_bytes(sealed, want), n);
	assert_int_equal(capture_bytes(icv, tag), 16);
	rig_key(&r, suite, key);
	memcpy(r.t.data, text, n);
	/* In two pieces, as a packet has them. */
	r.t.before[0] = (struct cipher_piece){aad, n_aad / 2};
	r.t.before[1] = (struct cipher_piece){aad + n_aad / 2, n_aad - n_aad / 2};
	r.t.n_before = 2;
	r.t.len = n;
	r.t.icv = r.t.data + n;
	r.t.nonce = r.shape->iv_bytes ? number_of(iv) : 0;
	assert_int_equal(r.env.ops->seal(r.c, &r.t), 0);
	assert_memory_equal(r.t.data, want, n);
	assert_memory_equal(r.t.icv, tag, 16);
	all = r.shape->iv_bytes + n + 16;
	for (u32 i = 0; i < all; i++) {
		u8 keep[TEXT_MAX];

		memcpy(keep, r.wire, all);
		r.wire[i] ^= 0x20;
		assert_int_equal(r.env.ops->open(r.c, &r.t), -EBADMSG);
		memcpy(r.wire, keep, all);
	}
	aad[0] ^= 1;
	assert_int_equal(r.env.ops->open(r.c, &r.t), n_aad ? -EBADMSG : 0);
	aad[0] ^= 1;
	memcpy(r.t.data, want, n);
	assert_int_equal(r.env.ops->open(r.c, &r.t), 0);
	assert_memory_equal(r.t.data, text, n);
	rig_free(&r);
}

/* McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 4 and 16; the nonce is split
 * into salt and IV as RFC 4106 4 has it. */
#define GCM_AAD "feedfacedeadbeeffeedfacedeadbeefabaddad2"
#define GCM_TEXT                                                   \
	"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d" \
	"8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"

static void gcm(void **state)
{
	vector(CIPHER_AES_128_GCM, "feffe9928665731c6d6a8f9467308308cafebabe", "facedbaddecaf888",
	       GCM_AAD, GCM_TEXT,
	       "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
	       "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
	       "5bc94fbc3221a5db94fae95ae7121a47");
	vector(CIPHER_AES_256_GCM,
	       "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308cafebabe",
	       "facedbaddecaf888", GCM_AAD, GCM_TEXT,
	       "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	       "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
	       "76fc6ece0f4e1768cddf8853bb2d551b");
}

/* RFC 7634 appendix A: an ICMP echo in tunnel mode. */
static void chacha20_poly1305(void **state)
{
	vector(CIPHER_CHACHA20_POLY1305,
	       "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3",
	       "1011121314151617", "0102030400000005",
	       "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec10"
	       "0007362708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223"
	       "2425262728292a2b2c2d2e2f303132333435363701020204",
	       "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c6"
	       "14ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3"
	       "cbec163fac469b502773f6fb94e664da9165b82829f641e0",
	       "76aaa8266b7fb0f7b11b369907e1ad43");
}

/* RFC 4868 2.7.2.1: the first half of the MAC. */
static void hmac_sha_256(void **state)
{
	vector(CIPHER_HMAC_SHA_256,
	       "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
	       "4869205468657265", "4869205468657265", "198a607eb44bfbc69903a0f1cf2bbdc5");
	vector(CIPHER_HMAC_SHA_256,
	       "4a6566654a6566654a6566654a6566654a6566654a6566654a6566654a656665", "",
	       "7768617420646f2079612077616e74", "20666f72206e6f7468696e673f",
	       "20666f72206e6f7468696e673f", "167f928588c5cc2eef8e3093caa0e87c");
}

/* NIST CAVP, GCM with no plaintext, 128-bit key; the nonce is e0e00f19fed7ba0136a797f3. */
static void gmac(void **state)
{
	vector(CIPHER_AES_128_GMAC, "77be63708971c4e240d1cb79e8d77febe0e00f19", "fed7ba0136a797f3",
	       "7a43ec1d9c0a5a78a0b16533a6213cab", "", "", "209fcc8d3675ed938e9c7166709dd946");
}

/* RFC 3602 4, case 1. Its IV cannot be asked for, so the vector is opened, under a MAC of ours. */
static void cbc(void **state)
{
	const char *cipher_key = "06a9214036b8a15b512e03d534120006";
	const char *mac_key = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b";
	u8 wire[64];
	char key[128] = {0};
	struct rig m = {0}, r = {0};

	(void)capture_bytes("3dafba429d9eb430b422da802c9fac41e353779c1079aeb82708942dbe77181a",
	                    wire);
	rig_key(&m, CIPHER_HMAC_SHA_256, mac_key);
	m.t = (struct cipher_text){.data = wire, .len = 32, .icv = wire + 32};
	assert_int_equal(m.env.ops->seal(m.c, &m.t), 0);
	memcpy(key, cipher_key, 32);
	memcpy(key + 32, mac_key, 64);
	rig_key(&r, CIPHER_AES_128_CBC_HMAC_SHA_256, key);
	r.t = (struct cipher_text){.iv = wire, .data = wire + 16, .len = 16, .icv = wire + 32};
	assert_int_equal(r.env.ops->open(r.c, &r.t), 0);
	assert_memory_equal(wire + 16, "Single block msg", 16);
	r.t.len = 15;
	assert_int_equal(r.env.ops->open(r.c, &r.t), -EINVAL);
	assert_int_equal(r.env.ops->seal(r.c, &r.t), -EINVAL);
	rig_free(&m);
	rig_free(&r);
}

/* RFC 3602 3: no two packets begin alike, and counting up does not show. */
static void ivs_cannot_be_guessed(void **state)
{
	struct rig r = {0};
	u8 seen[64][16];

	rig_key(&r, CIPHER_AES_256_CBC_HMAC_SHA_256,
	        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	        "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f");
	for (u32 i = 0; i < 64; i++) {
		u32 bits = 0;

		r.t.len = 32;
		r.t.icv = r.t.data + 32;
		r.t.nonce = i;
		memset(r.t.data, 7, 32);
		assert_int_equal(r.env.ops->seal(r.c, &r.t), 0);
		memcpy(seen[i], r.wire, 16);
		for (u32 j = 0; i && j < 16; j++)
			bits += (u32)__builtin_popcount(seen[i][j] ^ seen[i - 1][j]);
		assert_true(!i || bits > 24);
		assert_int_equal(r.env.ops->open(r.c, &r.t), 0);
		for (u32 j = 0; j < 32; j++)
			assert_int_equal(r.t.data[j], 7);
	}
	rig_free(&r);
}

/* The path of packets takes no memory, whatever the suite and the length. */
static void a_packet_allocates_nothing(void **state)
{
	char key[2 * CIPHER_KEY_BYTES_MAX + 1];

	for (u32 suite = 0; suite < CIPHER_SUITES; suite++) {
		struct rig r = {0};
		u64 before;

		memset(key, '5', sizeof(key));
		key[2 * cipher_shape(suite)->key_bytes] = 0;
		rig_key(&r, suite, key);
		before = allocations;
		for (u32 i = 0; i < 100; i++) {
			r.t.len = i * 16;
			r.t.icv = r.t.data + r.t.len;
			r.t.nonce = i;
			assert_int_equal(r.env.ops->seal(r.c, &r.t), 0);
			assert_int_equal(r.env.ops->open(r.c, &r.t), 0);
		}
		assert_int_equal(allocations, before);
		rig_free(&r);
	}
	assert_true(allocations); /* they are counted at all */
}

static void keys_are_kept_by_number(void **state)
{
	static const u8 zero[36];
	struct crypto *c;
	struct cipher_env env;
	struct cipher *made;
	u8 key[36];
	u64 a, b;

	assert_int_equal(crypto_create(0, &c), -EINVAL);
	assert_int_equal(crypto_create(1, &c), 0);
	env = crypto_env(c);
	memset(key, 9, sizeof(key));
	assert_int_equal(crypto_key_add(c, CIPHER_AES_128_GCM, key, 36, &a), -EINVAL);
	assert_memory_equal(key, zero, sizeof(key)); /* wiped all the same */
	assert_int_equal(crypto_key_add(c, CIPHER_SUITES, key, 20, &a), -EINVAL);
	assert_int_equal(crypto_key_add(c, CIPHER_AES_128_GCM, key, 20, &a), 0);
	assert_int_equal(crypto_key_add(c, CIPHER_AES_128_GCM, key, 20, &b), -ENOSPC);
	assert_int_equal(env.ops->setup(env.impl, CIPHER_AES_256_GCM, a, &made), -EINVAL);
	assert_int_equal(env.ops->setup(env.impl, CIPHER_AES_128_GCM, a + 1, &made), -ENOENT);
	assert_int_equal(env.ops->setup(env.impl, CIPHER_AES_128_GCM, 0, &made), -ENOENT);
	assert_int_equal(crypto_key_remove(c, a), 0);
	assert_int_equal(crypto_key_remove(c, a), -ENOENT);
	assert_int_equal(crypto_key_add(c, CIPHER_AES_128_GCM, key, 20, &b), 0);
	assert_true(a != b);
	assert_int_equal(env.ops->suites(env.impl), (1 << CIPHER_SUITES) - 1);
	crypto_destroy(c);
}

static void suites_have_names(void **state)
{
	for (u32 i = 0; i < CIPHER_SUITES; i++) {
		const char *name = cipher_shape(i)->name;

		assert_int_equal(cipher_suite_named(name, strlen(name)), i);
		assert_int_equal(cipher_suite_named(name, strlen(name) - 1), CIPHER_SUITES);
		assert_true(cipher_shape(i)->key_bytes <= CIPHER_KEY_BYTES_MAX);
	}
	assert_null(cipher_shape(CIPHER_SUITES));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gcm),
		cmocka_unit_test(chacha20_poly1305),
		cmocka_unit_test(hmac_sha_256),
		cmocka_unit_test(gmac),
		cmocka_unit_test(cbc),
		cmocka_unit_test(ivs_cannot_be_guessed),
		cmocka_unit_test(a_packet_allocates_nothing),
		cmocka_unit_test(keys_are_kept_by_number),
		cmocka_unit_test(suites_have_names),
	};

	if (CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free) != 1)
		return 1;
	return RUN_TESTS(tests);
}
