/* Part: what models of the Mamba family have around their mixers, in checkpoints of transformers ("backbone.") and of the
 * authors' package, state-spaces/mamba (d_model, n_layer, ssm_cfg). */
#ifndef BTC_IMPORT_BACKBONE_H
#define BTC_IMPORT_BACKBONE_H

#include "import/parts/frame.h"

/* Names of tensors; the rest is to be read. */
Frame frame_backbone(const ImportCtx *x);
/* The authors' configuration, in whose file the vocabulary is padded, but ssm_cfg, which is given back. layer: what
 * ssm_cfg must say. */
Cfg cfg_authors_frame(ImportCtx *x, Frame *f, const char *layer);
/* The width of the MLP that follows each mixer there, or 0: there is none. */
int64_t cfg_authors_mlp(Cfg *c);
/* x = x + mlp(norm(x)); width 0: nothing */
void st_authors_mlp(ImportCtx *x, cJSON *b, int64_t width, const Norm *norm);
/* Configurations converted from the authors' keep the old keys beside the new ones; they have to agree. */
void cfg_check_authors_keys(Cfg *c, int64_t D, int64_t layers, int64_t E, const char *layer);

#endif
