package dev.registrygrpc.conformance;

import com.google.gson.JsonObject;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.util.JsonFormat;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.PrototypeMarshaller;
import io.grpc.ServiceDescriptor;

/** Finds methods of the generated contract by name. */
final class Contract {
  private Contract() {}

  /**
   * A method.
   *
   * @param descriptor what the library calls it by
   * @param prototype of its request
   */
  record Method(MethodDescriptor<Message, Message> descriptor, Message prototype) {
    /** The request of a step, read from proto JSON. */
    Message request(JsonObject step) throws InvalidProtocolBufferException {
      Message.Builder made = prototype.newBuilderForType();
      if (step.has("request")) {
        JsonFormat.parser().merge(step.get("request").toString(), made);
      }
      return made.build();
    }
  }

  /** A method named {@code Service.Method}. */
  static Method method(String name) throws ReflectiveOperationException {
    String[] parts = name.split("\\.", 2);
    ServiceDescriptor service =
        (ServiceDescriptor)
            Class.forName("dev.registrygrpc.v1." + parts[0] + "Grpc").getMethod("getServiceDescriptor").invoke(null);
    return service.getMethods().stream()
        .filter(method -> method.getBareMethodName().equals(parts[1]))
        .map(Contract::described)
        .findFirst()
        .orElseThrow(() -> new NoSuchMethodException(name));
  }

  @SuppressWarnings("unchecked") // every method of the contract takes and gives messages
  private static Method described(MethodDescriptor<?, ?> method) {
    PrototypeMarshaller<?> marshaller = (PrototypeMarshaller<?>) method.getRequestMarshaller();
    return new Method((MethodDescriptor<Message, Message>) method, (Message) marshaller.getMessagePrototype());
  }
}
