package dev.registrygrpc.client;

import dev.registrygrpc.v1.CreateModelRequest;
import dev.registrygrpc.v1.GetModelRequest;
import dev.registrygrpc.v1.ListModelsRequest;
import dev.registrygrpc.v1.ListModelsResponse;
import dev.registrygrpc.v1.Model;
import dev.registrygrpc.v1.ModelServiceGrpc;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Fails as often as it was told, then answers. */
final class FakeModels extends ModelServiceGrpc.ModelServiceImplBase {
  final Queue<StatusRuntimeException> failures = new ConcurrentLinkedQueue<>();
  final List<CreateModelRequest> created = new CopyOnWriteArrayList<>();
  volatile boolean isSilent;

  /** Where reads wait for one another, so that all are on their way at once. */
  volatile CyclicBarrier together = new CyclicBarrier(1);

  private boolean fails(StreamObserver<?> answers) {
    StatusRuntimeException failure = failures.poll();
    if (failure != null) {
      answers.onError(failure);
    }
    return failure != null || isSilent;
  }

  @Override
  public void getModel(GetModelRequest request, StreamObserver<Model> answers) {
    try {
      together.await(20, TimeUnit.SECONDS);
    } catch (InterruptedException | BrokenBarrierException | TimeoutException error) {
      throw new IllegalStateException(error);
    }
    if (!fails(answers)) {
      answers.onNext(Model.newBuilder().setName(request.getName()).build());
      answers.onCompleted();
    }
  }

  @Override
  public void createModel(CreateModelRequest request, StreamObserver<Model> answers) {
    created.add(request);
    if (!fails(answers)) {
      answers.onNext(request.getModel());
      answers.onCompleted();
    }
  }

  @Override
  public void listModels(ListModelsRequest request, StreamObserver<ListModelsResponse> answers) {
    int page = request.getPageToken().isEmpty() ? 0 : Integer.parseInt(request.getPageToken());
    ListModelsResponse.Builder answer = ListModelsResponse.newBuilder();
    if (page != 1) {
      // The second page is empty, and not the last.
      answer.addModels(Model.newBuilder().setName("m" + page));
    }
    answers.onNext(answer.setNextPageToken(page < 2 ? Integer.toString(page + 1) : "").build());
    answers.onCompleted();
  }
}
