/* btc.h: the C interface of a compiled model. Needs stddef.h and stdint.h, nothing else.
 *
 * An artefact exports one symbol, a query that returns a table of functions:
 *     model.so                 btc_query
 *     model.o, model.a         <name>_btc_query, so that several models fit into one program
 *
 * Three kinds of memory, all of them the caller's; the library never allocates:
 *     btc_model  a small handle, opened once, read-only afterwards, shared by all threads
 *     state      one sequence: info->state_bytes plain bytes, aligned to 64. It holds no pointers, so it may
 *                be moved (to an aligned place), stored and sent. Only what the sequence has used so far is
 *                ever touched (state_used): memory that the system gives page by page is taken as it grows
 *     work       scratch of one call: work_bytes(threads) bytes, aligned to 64, marked by work_init; calls
 *                keep nothing in it but measurements of how long threads wait
 *
 * Thread rule: any number of calls may run at once on one btc_model, each with its own state(s) and its own
 * work. Two calls must not use one state or one marked work block at the same time: the second one is
 * refused. All that is given to a call (input, output, states, work) must lie apart.
 *
 * Fork rule: after fork() parent and child both go on. Threads are OpenMP's; before a fork those of the
 * forking thread end, and the next call starts new ones, so OpenMP's threadprivate variables are new there.
 * A child that was not made by the C library's fork() can only use one thread (BTC_E_THREADS). Inside of a
 * parallel region of the host a call uses one thread, unless OMP_MAX_ACTIVE_LEVELS allows more.
 *
 * A call uses up to `threads` threads: fewer for a while where other programs want the same cores, so that
 * threads would wait for one another longer than they work.
 *
 * Promise: f32 outputs are the same bits for every number of threads, alone or in a batch, and for a prompt
 * cut at any multiple of info->chunk tokens. save, restore and fork are exact.
 *
 * Numbers: calls compute with round to nearest, and on x86 and ARM with denormals of f32 (below 2^-126) taken
 * for zeros, so that a state that only decays ends in zeros and silence is as fast as sound. (Machines that
 * have no such setting keep them.) f16 in memory keeps its own small numbers. The caller's floating-point
 * settings are put back when a call returns.
 *
 * A row is what one time step takes: an int32_t token id below info->vocab (kind BTC_TOKENS), or
 * info->input_width f32 values (kind BTC_FEATURES). It gives info->output_width f32 values: for a language
 * model the logits of the next token. */
#ifndef BTC_H
#define BTC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BTC_ABI_VERSION 2u

/* Every call returns one of these; api->status_text gives the words. After an error nothing has changed. */
typedef int32_t btc_status;
enum {
    BTC_OK = 0,
    BTC_E_ARGUMENT = 1, /* null, misaligned or overlapping memory, a count or an option out of its limits */
    BTC_E_RANGE = 2,    /* a token id is negative or not below info->vocab */
    BTC_E_LENGTH = 3,   /* the sequence would grow beyond info->context */
    BTC_E_STATE = 4,    /* not a state of this model, or a damaged one */
    BTC_E_VERSION = 5,  /* written by an incompatible version */
    BTC_E_WEIGHTS = 6,  /* the weights file is not one of this model */
    BTC_E_CPU = 7, /* this processor lacks instructions that the model was compiled to; the text names them */
    BTC_E_THREADS = 8,  /* the system gives no more threads, or no memory for them; fewer may do */
    BTC_E_MISSING = 9,  /* there is no weights file: not at the path given, or not beside the artefact */
    BTC_E_READ = 10,    /* the weights file cannot be opened, or is no file of bytes */
    BTC_E_SIZE = 11,    /* the weights file is cut off, or longer than it says */
    BTC_E_MEMORY = 12,  /* the weights file is larger than the memory that the process may map */
    BTC_E_DAMAGED = 13, /* the contents of the weights file do not match its checksum (BTC_OPEN_POPULATE) */
    BTC_E_WHOLE = 14    /* info->whole: there is no step, no second call for a sequence, no state to keep */
};

enum { BTC_TOKENS = 1, BTC_FEATURES = 2 };      /* info->kind */
enum { BTC_TEXT_NONE = 0, BTC_TEXT_BYTES = 1 }; /* info->text: what token ids mean */
enum { BTC_MAX_RANK = 5, BTC_MAX_THREADS = 1024 };

/* One array in the state block. Where it keeps what a sequence has seen, the part for the future holds
 * anything. */
typedef struct btc_slot {
    const char *name;   /* "blocks.0.h" */
    const char *dtype;  /* "f32", "bf16", "i32", ... */
    const char *layout; /* in words, as the compiler laid it out: "[H,K]", "ring[128,H,K]" */
    int64_t offset;     /* bytes from the start of the state block */
    int64_t bytes;
    int64_t rank; /* dims in use */
    int64_t dims[BTC_MAX_RANK];
} btc_slot;

/* A value inside the model that the compiler was asked to expose (prefill_probes). */
typedef struct btc_probe {
    const char *name;
    int64_t width; /* f32 values per row */
} btc_probe;
/* As version 1 called them: hosts written for it still compile. */
typedef btc_probe btc_tap;
#define tap_count probe_count
#define prefill_taps prefill_probes
#define step_taps step_probes

/* Facts about the model. Fields are only ever added at the end. */
typedef struct btc_info {
    int64_t version; /* the artefact's BTC_ABI_VERSION */
    int64_t size;    /* bytes of this struct in the artefact */
    const char *name;
    const char *target;   /* "x86_64-linux-gnu" */
    const char *cpu;      /* "znver5" */
    int64_t kind;         /* BTC_TOKENS or BTC_FEATURES */
    int64_t vocab;        /* ids are 0 .. vocab-1; 0 with features */
    int64_t input_width;  /* values per input row: 1 (the id), or the number of features */
    int64_t output_width; /* f32 values per output row */
    int64_t chunk;        /* tokens that prefill runs at once */
    int64_t max_batch;    /* sequences in one step */
    int64_t context;      /* longest sequence; 0: no limit */
    int64_t state_bytes;  /* of one sequence, a multiple of 64. See state_used */
    int64_t work_shared;  /* scratch of a call, without the runtime's own part: see work_bytes */
    int64_t work_thread;  /* scratch of each of its threads */
    int64_t layers;
    int64_t parameters;
    int64_t bos, eos;     /* token ids; -1: none. A model may have several ends: eos_ids */
    int64_t text;         /* BTC_TEXT_... */
    uint64_t fingerprint; /* of the model, its weights and how states lie: the same, or states are refused */
    int64_t weights_bytes;
    int64_t slot_count;
    const btc_slot *slots;
    int64_t probe_count;
    union {
        const btc_probe *probes;
        const btc_probe *taps; /* as version 1 called them */
    };
    /* since version 2 */
    int64_t eos_count;      /* how many ids end a sequence */
    const int64_t *eos_ids; /* [eos_count] all of them; the first is eos */
    /* 1: a row needs the rows behind it, so prefill and its kin take a whole sequence of at most `context` rows,
     * behind init; all else that runs or keeps a sequence is refused (BTC_E_WHOLE). Not there where `size` ends
     * before it. */
    int64_t whole;
} btc_info;

/* An open model. The fields belong to the library. */
typedef struct btc_model {
    uint64_t magic;
    const void *artifact;
    const void *weights;
    void *mapping;
    uint64_t mapping_bytes;
    uint64_t reserved[3];
} btc_model;

/* Read all weights into memory now, not at first use, and compare those of a side file with its checksum. */
enum { BTC_OPEN_POPULATE = 1 };

/* The table. Entries are only ever added at the end. */
typedef struct btc_api {
    uint32_t version; /* the artefact's BTC_ABI_VERSION, not below the one asked for */
    uint32_t size;    /* bytes of this struct in the artefact */
    const btc_info *info;

    /* Opens the model into *m. weights_path: the side file of a model compiled with --weights=file; NULL
     * looks for <artefact>.weights beside the artefact, by every name that leads to it (symbolic links).
     * Ignored when the weights are inside. The file's size and what it says of itself are checked: it must
     * hold the same model in the layout that this artefact reads. What it contains is taken on trust, but
     * for BTC_OPEN_POPULATE, and must not change while it is open. flags: 0 or BTC_OPEN_...  Call once per
     * handle; *m may be copied afterwards, and is closed once.
     * BTC_E_WEIGHTS, BTC_E_VERSION, BTC_E_MISSING, BTC_E_READ, BTC_E_SIZE, BTC_E_MEMORY, BTC_E_DAMAGED: what is
     * wrong with the side file; BTC_E_CPU; BTC_E_ARGUMENT. Any thread. */
    btc_status (*open)(btc_model *m, const char *weights_path, uint32_t flags);

    /* Unmaps the weights. No call may be running. An unopened or closed model is left alone. */
    void (*close)(btc_model *m);

    /* Bytes of a work block for calls with up to `threads` threads; 0: threads is not in
     * 1 .. BTC_MAX_THREADS. A block for more threads serves fewer. See work_init. */
    size_t (*work_bytes)(int32_t threads);

    /* Makes state [state_bytes] the start of a sequence, position 0, whatever was in it. What a sequence will
     * use only later, such as the cache of an attention, is not touched. BTC_E_ARGUMENT. */
    btc_status (*init)(const btc_model *m, void *state);

    /* Runs n >= 1 rows of one sequence. input: [n] int32_t ids or [n, input_width] f32. out_last:
     * [output_width], the output after the last row, or NULL. All ids are checked before anything runs.
     * BTC_E_RANGE, BTC_E_LENGTH, BTC_E_STATE, BTC_E_THREADS, BTC_E_ARGUMENT: state unchanged. */
    btc_status (*prefill)(const btc_model *m, void *state, void *work, int32_t threads, const void *input,
                          int64_t n, float *out_last);

    /* The same, with the outputs of all rows: out [n, output_width]. Same bits as prefill. */
    btc_status (*prefill_all)(const btc_model *m, void *state, void *work, int32_t threads, const void *input,
                              int64_t n, float *out);

    /* Runs one row of each of n independent sequences, 1 <= n <= max_batch. states: [n] different blocks,
     * at any positions. input: [n] ids or [n, input_width]. out: [n, output_width]. Errors as in prefill;
     * one bad sequence stops the call before any of them has moved. */
    btc_status (*step)(const btc_model *m, void *const *states, int64_t n, void *work, int32_t threads,
                       const void *input, float *out);

    /* Rows that the sequence has seen; -1: not a state of this model. */
    int64_t (*position)(const btc_model *m, const void *state);

    /* Copies what of state is in use into block [bytes, any alignment] with a checksum, for keeping: the
     * first state_used bytes of it, which are never more than state_bytes. The rest is not touched.
     * BTC_E_STATE, BTC_E_ARGUMENT (block too small, or inside of the state). */
    btc_status (*save)(const btc_model *m, const void *state, void *block, size_t bytes);

    /* Makes state what save put into block, whatever was in it. bytes: all that save wrote, or more. The
     * block is not trusted: it is checked whole before state is touched. BTC_E_STATE: damaged, cut off, or of
     * another model; BTC_E_VERSION; BTC_E_ARGUMENT. */
    btc_status (*restore)(const btc_model *m, void *state, const void *block, size_t bytes);

    /* Makes `to` [state_bytes, aligned to 64] a second, independent sequence equal to `from`. */
    btc_status (*fork)(const btc_model *m, void *to, const void *from);

    /* One sentence in English for a status; never NULL. */
    const char *(*status_text)(btc_status status);

    /* prefill_all that also writes the exposed values: probes [probe_count] buffers [n, info->probes[i].width].
     * For checking a model, not for speed. */
    btc_status (*prefill_probes)(const btc_model *m, void *state, void *work, int32_t threads,
                                 const void *input, int64_t n, float *out, float *const *probes);

    /* step that also writes the exposed values of each row: probes [probe_count] buffers [n, width]. A model that
     * exposes values can only be run by the two calls with probes. */
    btc_status (*step_probes)(const btc_model *m, void *const *states, int64_t n, void *work, int32_t threads,
                              const void *input, float *out, float *const *probes);

    /* ---- since version 2 ---- */

    /* Marks work [bytes, aligned to 64] as a work block of this model, once after it was allocated. A call
     * with more threads than it has room for, or with another model, is then refused (BTC_E_ARGUMENT). A
     * block that was not marked, as hosts of version 1 have them, is trusted. BTC_E_ARGUMENT: below
     * work_bytes(1). */
    btc_status (*work_init)(const btc_model *m, void *work, size_t bytes);

    /* Bytes that save writes for this state now; it grows with the position where a model looks back.
     * 0: not a state of this model. */
    size_t (*state_used)(const btc_model *m, const void *state);
} btc_api;

/* The table for hosts compiled with this header (pass BTC_ABI_VERSION); NULL: the artefact is older than
 * the host asks for. Constant, valid while the artefact is loaded. Any thread. */
const btc_api *btc_query(uint32_t version);
typedef const btc_api *btc_query_fn(uint32_t version);

#ifdef __cplusplus
}
#endif

#endif
