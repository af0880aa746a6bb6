/* Operands of scan.modal. */
#ifndef BTC_OPS_SCAN_MODAL_H
#define BTC_OPS_SCAN_MODAL_H

enum { IN_X, IN_RE, IN_IM, IN_GRE, IN_GIM, IN_D, IN_FRE, IN_FIM, IN_QRE, IN_QIM, IN_STATE_RE, IN_STATE_IM };

#endif
