/* A caller's own loss that tells of its kinks: the engine takes the extension of a table that was registered. */
#include "check.h"
#include "../plugins/corner.c"

int main(void) {
  mpass_engine *engine = NULL;
  mpass_loss *loss = NULL;
  double theta[2] = { 0.5, -0.5 }, value = 0, gradient[2] = { 0, 0 };
  mpass_status row = MPASS_OK;
  mpass_eval call = { 0 };
  CHECK(mpass_engine_new(NULL, &engine) == MPASS_OK);
  CHECK(mpass_backend_register(engine, &corner, NULL, NULL) == MPASS_OK);
  CHECK(mpass_loss_open(engine, "corner", NULL, &loss) == MPASS_OK);
  call.struct_size = sizeof call;
  call.theta.data = theta;
  call.theta.rows = 1;
  call.theta.cols = call.theta.row_stride = 2;
  call.theta.dtype = MPASS_F64;
  call.grad = call.theta;
  call.grad.data = gradient;
  call.loss = &value;
  call.row_status = &row;
  CHECK(mpass_loss_eval(loss, &call) == MPASS_OK && row == MPASS_OK);
  CHECK(value == 0.5 && gradient[0] == 2 && gradient[1] == 0);
  CHECK(corner_asked > 0);
  mpass_loss_free(loss);
  mpass_engine_free(engine);
  printf("kinks were asked for\n");
  return 0;
}
