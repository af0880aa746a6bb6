/* Part: feature maps of queries and keys in linear attention. */
#ifndef BTC_IMPORT_FEATURE_MAP_H
#define BTC_IMPORT_FEATURE_MAP_H

#include "import/import.h"

typedef enum FeatureMap {
    MAP_IDENTITY,
    MAP_RELU,
    MAP_ELU,      /* elu + 1: Katharopoulos et al. 2020, arXiv:2006.16236 */
    MAP_PRODUCT,  /* (W1 x + b1) * (W2 x + b2) */
    MAP_HEDGEHOG, /* softmax of 2 y and -2 y, y = W x + b: Zhang et al. 2024, arXiv:2402.04347 */
    MAP_T2R,      /* relu(W x): Kasai et al. 2021, arXiv:2103.13076 */
    MAP_DPFP,     /* Schlag et al. 2021, arXiv:2102.11174 */
    MAP_TAYLOR,   /* 1 + s + s^2/2 of s = q.k / sqrt(width): Arora et al. 2024, arXiv:2402.18668 */
} FeatureMap;

FeatureMap cfg_feature_map(Cfg *c, const char *key, const char *otherwise);
/* How wide it is for heads of `width`. */
int64_t feature_width(FeatureMap map, int64_t width);
/* value [heads, width] becomes [heads, feature width]. heads: a dim; module: of the map's tensors. */
void st_feature_map(ImportCtx *x, cJSON *ops, FeatureMap map, const char *value, const char *heads,
                    int64_t width, const char *module);

#endif
