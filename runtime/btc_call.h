/* The contract between emitted code and the runtime: one argument block per call. Versioned with the
 * artefact (both are always linked together), so it may change freely; hosts see btc.h instead.
 *
 * Emitted entry points, hidden symbols of the artefact:
 *     void btc_entry_step (const btc_call *c, intptr_t worker, intptr_t workers);  one token of each state
 *     void btc_entry_chunk(const btc_call *c, intptr_t worker, intptr_t workers);  rows tokens of states[0]
 * All threads of a call run the whole function and meet at btc_barrier_wait. The position of a sequence is
 * read from its state block and advanced by the runtime after the call. */
#ifndef BTC_CALL_H
#define BTC_CALL_H

#include <stdint.h>

/* Every sequence's state block starts with this header; the slots follow at BTC_STATE_HEADER. */
enum { BTC_STATE_HEADER = 64 };
/* The header's field `position`, which emitted code reads, in words of 8 bytes. */
enum { BTC_STATE_POSITION = 2 };
/* Of this header and of how ops lay out their slots (OpLowering.state_unpack): part of the fingerprint. */
enum { BTC_STATE_VERSION = 2 };
typedef struct btc_state_header {
    uint64_t magic;   /* "BTCSTATE" */
    uint64_t model;   /* info.fingerprint of the artefact */
    int64_t position; /* tokens seen */
    uint64_t bytes;   /* of the whole block */
    uint64_t
        sum; /* checksum of what was saved, set by save, checked by restore; else 1 while a call is at it */
    uint64_t version; /* of this format: BTC_STATE_VERSION */
    uint64_t saved;   /* bytes that save has written, this header included; 0 while in use */
    uint64_t sums;    /* the other half of the checksum */
} btc_state_header;

typedef struct btc_barrier btc_barrier; /* in runtime/barrier.c */

/* All fields take 8 bytes, also where pointers are shorter: emitted code finds them by number. */
#if UINTPTR_MAX > UINT32_MAX
#define BTC_FIELD(declaration, rest) declaration
#else
#define BTC_FIELD(declaration, rest)                                                                         \
    declaration;                                                                                             \
    uint32_t rest
#endif
typedef struct btc_call {
    BTC_FIELD(const void *weights, above_weights);  /* 0: packed weights, 64-byte aligned */
    BTC_FIELD(void *const *states, above_states);   /* 1: one block per sequence */
    BTC_FIELD(void *work, above_work);              /* 2: scratch of this call: shared part, then one private
                                                          part per thread */
    BTC_FIELD(const void *input, above_input);      /* 3: int32 ids [rows], or f32 features [rows, width] */
    BTC_FIELD(float *output, above_output);         /* 4: [rows - out_begin, output width] */
    int64_t rows;                                   /* 5 */
    int64_t out_begin;                              /* 6: rows before this one need no output */
    BTC_FIELD(btc_barrier *barrier, above_barrier); /* 7 */
    BTC_FIELD(float *const *probes, above_probes);  /* 8: outputs that `btc verify` asked for, [rows, width]
                                                          each; else NULL */
    int64_t shared_bytes;  /* 9: of the shared part of work; the private parts follow */
    int64_t private_bytes; /* 10: of each thread's part */
} btc_call;
_Static_assert(sizeof(btc_call) == 11 * 8, "eight bytes a field");

/* The indices above, for the compiler. */
enum {
    BTC_CALL_WEIGHTS,
    BTC_CALL_STATES,
    BTC_CALL_WORK,
    BTC_CALL_INPUT,
    BTC_CALL_OUTPUT,
    BTC_CALL_ROWS,
    BTC_CALL_OUT_BEGIN,
    BTC_CALL_BARRIER,
    BTC_CALL_PROBES,
    BTC_CALL_SHARED_BYTES,
    BTC_CALL_PRIVATE_BYTES,
};

/* Where a processor says what it has, for cpu.c: words that the compiler names the bits of. */
enum {
    BTC_CPU_1_ECX, /* x86: registers of cpuid, by leaf and subleaf */
    BTC_CPU_7_EBX,
    BTC_CPU_7_ECX,
    BTC_CPU_7_EDX,
    BTC_CPU_7_1_EAX,
    BTC_CPU_7_1_EDX,
    BTC_CPU_EXT_ECX, /* of leaf 0x80000001 */
    BTC_CPU_XCR0,    /* registers that the operating system keeps */
    BTC_CPU_HWCAP,   /* ARM, RISC-V: what Linux tells of it */
    BTC_CPU_HWCAP2,
    BTC_CPU_HWPROBE, /* RISC-V: what Linux tells when it is asked, key IMA_EXT_0 */
    BTC_CPU_WORDS,
};

#endif
